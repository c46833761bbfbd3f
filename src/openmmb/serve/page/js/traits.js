/* The 215 traits of Image-Chat, by what a reply in them sounds like. */

const WARM = `Appreciative (Grateful)|Caring|Charming|Cheerful|Compassionate (Sympathetic, Warm)|
Considerate|Courageous|Cute|Empathetic|Gentle|Happy|Honest|Humble|Kind|Maternal (Mother-like)|
Mellow (Soothing, Sweet)|Open|Optimistic|Respectful|Romantic|Sensitive|Sentimental|Sweet|
Sympathetic|Warm`;

const LIVELY = `Adventurous|Amusing|Boisterous (Rowdy, Loud)|Boyish|Captivating|
Colorful (Full of Life, Interesting)|Confident|Crazy|Creative|Daring|Dramatic|
Earnest (Enthusiastic)|Energetic|Enthusiastic|Excitable|Exciting|Extraordinary|Extravagant|Fiery|
Fun-loving|Glamorous|Grand|High-spirited|Humorous|Passionate|Patriotic|Playful|Quirky|Silly|
Spirited|Spontaneous|Vivacious (Lively, Animated)|Whimsical (Playful, Fanciful)|Witty|Youthful|Zany`;

const THOUGHTFUL = `Articulate (Well-spoken, Expressive)|Artful|Brilliant|
Cerebral (Intellectual, Logical)|Clever|Complex|Contemplative (Reflective, Thoughtful)|Critical|
Cultured (Refined, Educated)|Curious|Deep|Elegant|Eloquent (Well-spoken, Expressive)|
Freethinking|Idealistic|Imaginative|Insightful|Intelligent|Knowledgeable|Logical|
Meticulous (Precise, Thorough)|Observant|Perceptive|Profound|Questioning|Rational|Reflective|
Scholarly|Skeptical|Sophisticated|Suave (Charming, Smooth)|Stylish|Wise`;

const CALM = `Airy (Casual, Not Serious)|Breezy (Relaxed, Informal)|Businesslike|Calm|Casual|
Conservative (Traditional, Conventional)|Dry|Formal|Impersonal|Neutral|
Objective (Detached, Impartial)|Offhand|Old-fashioned|Ordinary|Peaceful|Practical|Realistic|
Relaxed|Rustic (Rural)|Serious|Shy|Simple|Solemn|Stoic (Unemotional, Matter-of-fact)|Tough|Assertive|
Attractive|Sensual`;

const DREAMY = `Absentminded|Bewildered (Astonished, Confused)|Bizarre|Confused|Contradictory|Dreamy|
Emotional|Enigmatic (Cryptic, Obscure)|Erratic|Escapist (Dreamer, Seeks Distraction)|Extreme|
Fanciful|Fickle (Changeable, Temperamental)|Intense|Irrational|Mystical|Odd|Outrageous|
Overimaginative|Ridiculous|Unrealistic|Vague|Wishful`;

const GLOOMY = `Anxious|Apathetic (Uncaring, Disinterested)|Aloof (Detached, Distant)|Bland|Cold|
Cowardly|Cynical (Doubtful, Skeptical)|Discouraging|Disturbing|Dull|Envious|
Fatalistic (Bleak, Gloomy)|Fearful|Frightening|Gloomy|Grim|Lazy|Melancholic|Miserable|Moody|Morbid|
Neurotic (Manic, Obsessive)|Nihilistic|Obsessive|Paranoid|Passive|Rigid|Stiff|Tense|Uncreative|
Unimaginative|Artificial`;

const RUDE = `Abrasive (Annoying, Irritating)|Aggressive|Angry|Argumentative|Arrogant|Barbaric|Blunt|
Childish|Coarse (Not Fine, Crass)|Conceited (Arrogant, Egotistical)|
Contemptible (Despicable, Vile)|Cruel|Destructive|Devious|Egocentric (Self-centered)|Fanatical|
Fawning (Flattering, Deferential)|Foolish|Frivolous (Trivial, Silly)|Hateful|
Haughty (Arrogant, Snobbish)|Hostile|Irritable|Malicious|Money-minded|Monstrous|
Narcissistic (Self-centered, Egotistical)|Obnoxious|Opinionated|
Pompous (Self-important, Arrogant)|Pretentious (Snobbish, Showy)|Provocative|Resentful|Rowdy|
Sarcastic|Scornful|Stupid|Vacuous (Empty, Unintelligent)`;

const GROUPS = [
  ["Warm and kind", WARM],
  ["Lively and playful", LIVELY],
  ["Thoughtful", THOUGHTFUL],
  ["Calm and plain", CALM],
  ["Dreamy and odd", DREAMY],
  ["Gloomy", GLOOMY],
  ["Rude (the guard withholds more)", RUDE],
].map(([name, words]) => [name, words.replace(/\s+/g, " ").split("|").map((word) => word.trim())]);

/** What steers every model of this kind: its own manner, none, and the two polarities. */
export const GENERAL = [
  { value: null, name: "The model's own", note: "" },
  { value: "none", name: "No style", note: "" },
  { value: "positive/neutral", name: "Positive or neutral", note: "" },
  { value: "negative", name: "Negative", note: "the guard withholds more" },
];

/**
 * All styles in groups: `[{name, styles: [{value, name, note}]}]`. Those of `known`, which the
 * server names, that no group has come last.
 */
export function groupStyles(known = []) {
  const listed = new Set(GROUPS.flatMap(([, traits]) => traits));
  const general = new Set(GENERAL.map((style) => style.value));
  const groups = GROUPS.map(([name, traits]) => ({
    name,
    styles: traits.sort().map(readTrait),
  }));
  const others = known.filter((style) => !listed.has(style) && !general.has(style));
  groups.push({ name: "Others", styles: others.map(readTrait) });
  return [{ name: "In general", styles: GENERAL }, ...groups].filter((group) => group.styles.length);
}

/** What a style is called. */
export function nameStyle(value) {
  return GENERAL.find((style) => style.value === value)?.name ?? readTrait(value).name;
}

function readTrait(value) {
  const [, name, note] = /^(.*?)(?: \((.*)\))?$/.exec(value);
  return { value, name, note: (note ?? "").toLowerCase() };
}
