// Runs in a page before its own scripts and says when its views last changed: canvases (Plot counts
// its drawings in data-drawn), elements, and what WebGL has drawn, waited for by reading one pixel.
(() => {
  let last = 0;
  let flat = 0; // the last change outside the structure
  let painted = 0;
  const note = () => (last = performance.now());
  const inStructure = ({ target }) =>
    (target.closest ? target : target.parentElement)?.closest(".iplm-structure");
  const later = (ms) => new Promise((done) => setTimeout(done, ms));
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  new MutationObserver((changes) => {
    note();
    const outside = changes.filter((change) => !inStructure(change));
    if (outside.length) flat = last;
    if (outside.some(({ target }) => target.dataset?.drawn === "1")) painted = last;
  }).observe(document, {
    subtree: true,
    childList: true,
    characterData: true,
    attributes: true,
    attributeFilter: ["data-drawn"],
  });

  const drawing = new Set();
  const pixel = new Uint8Array(4);
  function drawn(gl) {
    if (drawing.has(gl)) return;
    drawing.add(gl);
    queueMicrotask(() => {
      drawing.delete(gl);
      gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
      note();
    });
  }
  for (const { prototype } of [WebGLRenderingContext, WebGL2RenderingContext]) {
    for (const name of ["drawArrays", "drawElements"]) {
      const draw = prototype[name];
      prototype[name] = function (...rest) {
        draw.apply(this, rest);
        drawn(this);
      };
    }
  }

  /** ms from the start of `act` to the last change that follows outside the structure, and anywhere;
   * the page is quiet after that. */
  async function both(act, quiet = 300, most = 60000) {
    const start = performance.now();
    last = flat = start;
    await act();
    while (performance.now() - last < quiet && performance.now() - start < most) await later(25);
    return [flat - start, last - start];
  }

  /** ms from the start of `act` to the last change that follows. */
  const changed = async (act, quiet) => (await both(act, quiet))[1];

  /** ms since navigation began at which the last canvas of a view was first drawn (without the
   * structure's), and at which the page last changed. */
  async function settled(quiet = 500, most = 120000) {
    const busy = () => last === 0 || performance.now() - last < quiet;
    while (busy() && performance.now() < most) await later(25);
    return [painted, last];
  }

  /** ms from the next movement of the mouse to the last change that follows. */
  const moved = (quiet = 200) => new Promise((done) => {
    const moved = () => done(changed(() => {}, quiet));
    addEventListener("pointermove", moved, { capture: true, once: true });
  });

  let samples = [];
  let open = true;
  /** ms from an event to the last drawing within the two frames after it; one event at a time. */
  async function follow() {
    if (open) return;
    open = true;
    const start = performance.now();
    last = start;
    await frame();
    await frame();
    await later(0);
    samples.push(last - start);
    open = false;
  }
  for (const name of ["pointermove", "mousemove"])
    addEventListener(name, follow, { capture: true });
  const listen = () => ([samples, open] = [[], false]);
  const sample = async (n) => {
    while (samples.length < n) await later(1);
    return samples;
  };

  window.measure = { both, changed, settled, moved, listen, sample };
})();
