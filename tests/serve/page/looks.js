// What is wrong with a page to the eye, the ear and the finger: a list, empty where nothing is.
() => {
  const faults = [];
  const name = (node) => node.outerHTML.slice(0, 100);
  const shown = (node) => node.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const beside = ".hidden, .sprite, .skip, noscript, script"; // for ears alone, or for nobody

  // Contrast of text, on the nearest background that is not transparent.
  const parse = (color) => color.match(/[\d.]+/g).map(Number);
  const light = (color) =>
    parse(color)
      .slice(0, 3)
      .map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
      .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
  const backgroundOf = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const { backgroundColor } = getComputedStyle(at);
      if ((parse(backgroundColor)[3] ?? 1) > 0.99) return backgroundColor;
    }
    return "rgb(255, 255, 255)";
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || !shown(node)) continue;
    if (node.closest(`:disabled, ${beside}`)) continue;
    const pair = [light(getComputedStyle(node).color), light(backgroundOf(node))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < 4.5) faults.push(["contrast", ratio, name(node)]);
  }

  // Names of what can be used, and of landmarks.
  const fields = "input, textarea, select, dialog, nav, aside, [role=region]";
  for (const node of document.querySelectorAll(`button, a, ${fields}`)) {
    const by = node.getAttribute("aria-labelledby");
    const label = by ? document.getElementById(by)?.textContent : node.ariaLabel;
    const own = node.labels?.[0]?.textContent ?? (node.matches(fields) ? "" : node.textContent);
    if (shown(node) && !(label || own || "").trim()) faults.push(["no name", name(node)]);
  }
  for (const image of document.querySelectorAll("img:not([alt])")) faults.push(["no alt", name(image)]);

  // Ids that are there twice, and references to what is not there.
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  faults.push(...ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => ["twice", id]));
  for (const key of ["labelledby", "describedby", "controls", "activedescendant"])
    for (const node of document.querySelectorAll(`[aria-${key}]`))
      for (const id of node.getAttribute(`aria-${key}`).split(" "))
        if (!ids.includes(id)) faults.push([key, id]);
  for (const tag of ["main", "h1"])
    if (document.querySelectorAll(tag).length !== 1) faults.push(["not one", tag]);

  // What sticks out to the side, and what is too small for a finger.
  for (const node of document.querySelectorAll("body *")) {
    const { right, width, height } = node.getBoundingClientRect();
    if (!shown(node) || node.closest(`${beside}, table`)) continue;
    if (right > innerWidth + 0.5) faults.push(["too wide", name(node)]);
    if (node.matches("button:not(.link)") && Math.min(width, height) < 24)
      faults.push(["too small", name(node)]);
  }
  return faults;
}
