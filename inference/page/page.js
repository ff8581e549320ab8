// What Gradio's controls lack for the keyboard and for screen readers.
window.goTo = (selector) => setTimeout(() => {
  const place = document.querySelector(selector);
  if (!place.matches("button")) place.tabIndex = -1;
  place.focus({preventScroll: true});
  place.scrollIntoView({behavior: "smooth", block: place.matches("button") ? "center" : "start"});
}, 50);

(() => {
  const STEP = 0.05;

  // The line between a photo and its overlay moves with the mouse alone: arrow keys drag it.
  const makeSlider = (handle) => {
    const image = handle.closest(".block").querySelector("[data-testid=imageslider-image]");
    const name = handle.closest(".block").querySelector("label")?.textContent.trim() || "photo";
    const set = (key, value) => handle.setAttribute(key, value);
    const place = () => {
      const box = image.getBoundingClientRect(), own = handle.getBoundingClientRect();
      return Math.min(1, Math.max(0, (own.left + own.width / 2 - box.left) / (box.width || 1)));
    };
    const tell = () => set("aria-valuenow", Math.round(100 * place()));
    for (const [key, value] of [["role", "slider"], ["tabindex", "0"], ["aria-label", `${name}: photo to the left, overlay to the right`],
                                ["aria-valuemin", "0"], ["aria-valuemax", "100"]]) set(key, value);
    tell();
    handle.addEventListener("keydown", (event) => {
      const steps = {ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, Home: -1 / STEP, End: 1 / STEP}[event.key];
      if (!steps) return;
      event.preventDefault();
      const own = handle.getBoundingClientRect(), x = own.left + own.width / 2, y = own.top + own.height / 2;
      const to = x + steps * STEP * image.getBoundingClientRect().width;
      const mouse = (kind, at, target) =>
        target.dispatchEvent(new MouseEvent(kind, {bubbles: true, cancelable: true, view: window, clientX: at, clientY: y}));
      mouse("mousedown", x, handle);
      mouse("mousemove", to, window);
      mouse("mouseup", to, window);
      setTimeout(tell, 100);
    });
  };

  // Names that Gradio gives in no language, or that only tell a size.
  const setName = (one, words) => one.getAttribute("aria-label") === words || one.setAttribute("aria-label", words);
  const complete = () => {
    document.documentElement.lang = "en";
    document.querySelectorAll("[data-testid=slider]:not([role=slider])").forEach(makeSlider);
    document.querySelectorAll("[aria-label='common.upload']").forEach((one) => setName(one, "Upload more"));
    document.querySelectorAll(".file-preview a[download]").forEach((one) => setName(one, `Download ${one.download}`));
  };
  const start = () => {
    complete();
    new MutationObserver(complete).observe(document.body, {childList: true, subtree: true});
  };
  document.body ? start() : addEventListener("DOMContentLoaded", start);
})();
