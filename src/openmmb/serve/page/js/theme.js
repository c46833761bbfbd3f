/* Before anything is painted: light or dark, as chosen here or else as the system says. */
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function chosen() {
    try {
      return localStorage.getItem("openmmb-theme");
    } catch {
      return null; // a browser that keeps nothing
    }
  }

  function apply() {
    const theme = chosen();
    document.documentElement.dataset.theme =
      theme === "dark" || theme === "light" ? theme : dark.matches ? "dark" : "light";
  }

  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  addEventListener("openmmb-theme", apply);
})();
