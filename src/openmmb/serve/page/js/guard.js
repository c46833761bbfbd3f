/* What the guard withheld, and why, in plain words. */

/**
 * Read an answer: `{refused, choices}`. `refused` is the problem with the person's message, or
 * null; a choice is {text, note}, where the note says what else there is to know of it.
 */
export function readGuard({ choices, openmmb }) {
  const [first] = choices;
  if (first.refusal) return { refused: readRefusal(first.refusal, openmmb), choices: [] };
  const note = [readOrigin(openmmb), ...(openmmb?.notes ?? [])].filter(Boolean).join(" ");
  const said = choices.filter(({ text }) => text);
  return {
    refused: null,
    choices: said.map(({ text }, at) => ({ text, note: at === 0 && note ? note : null })),
  };
}

function readRefusal(text, openmmb) {
  const cares = openmmb?.guard?.message?.category === "self_harm";
  return {
    title: cares
      ? "This message was not given to the bot."
      : "The guard withheld this message, so the bot has not read it.",
    text,
  };
}

function readOrigin(openmmb) {
  const reason = openmmb?.guard?.reply?.reason;
  const why = reason ? `: ${reason}` : "";
  if (openmmb?.origin === "next_best")
    return `The guard withheld what the model would have said first${why}. This is its next choice.`;
  if (openmmb?.origin === "changed_subject")
    return `The guard withheld what the model would have said${why}. This changes the subject.`;
  return null;
}
