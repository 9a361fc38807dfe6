// @ts-check
// The settings as Python: shown, copied, saved.

/** @import { Kit, View } from "../kit/types.js" */

/** @param {Kit} kit @param {View} view @param {() => string} snippet */
export function pythonBox(kit, view, snippet) {
  const code = kit.element("pre", { tabindex: 0, "aria-label": "Python that gives these numbers" });
  const copy = kit.element("button", { type: "button", text: "Copy" });
  const save = kit.element("button", { type: "button", text: "Save" });
  const root = kit.element("details", { class: "iplm-python", hidden: "" }, [
    kit.element("summary", { text: "Python that gives these numbers" }),
    kit.element("div", {}, [copy, save]),
    code,
  ]);
  const choose = () => {
    const range = document.createRange();
    range.selectNodeContents(code);
    getSelection()?.removeAllRanges();
    getSelection()?.addRange(range);
  };
  const copied = async () => {
    choose(); // a page without a clipboard: what is chosen can be copied by keys
    await navigator.clipboard?.writeText(code.textContent).catch(() => {});
  };
  const { signal } = view;
  copy.addEventListener("click", copied, { signal });
  save.addEventListener(
    "click",
    () => kit.download(code.textContent, "text/x-python", view.fileName("py")),
    { signal },
  );
  const update = () => {
    code.textContent = snippet();
    root.hidden = !code.textContent;
  };
  return { root, update };
}
