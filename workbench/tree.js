// A click, Enter or the space bar picks a node; arrow keys walk the tree. The server looks the id up, it is not believed.
// Gradio runs this once for a panel, with `element` and `trigger`; the panel's content changes below it.
const pick = (target) => {
  const hit = target.closest("[data-node]");
  if (hit) trigger("node_select", {id: Number(hit.dataset.node)});
};
const go = (from, key) => {
  const all = [...element.querySelectorAll("g.node")], at = all.indexOf(from);
  if (key === "ArrowUp") return all[at - 1];
  if (key === "ArrowDown") return all[at + 1];
  if (key === "ArrowLeft") return all.find((node) => node.dataset.node === from.dataset.parent);
  if (key === "ArrowRight") return all.find((node) => node.dataset.parent === from.dataset.node);
};
const paint = async (button) => {  // the server's drawing of the tree, twice as large, as PNG
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([await (await fetch(button.dataset.png)).text()], {type: "image/svg+xml"}));
  await image.decode();
  const canvas = document.createElement("canvas"), link = document.createElement("a");
  [canvas.width, canvas.height] = [2 * image.naturalWidth, 2 * image.naturalHeight];
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  [link.href, link.download] = [canvas.toDataURL("image/png"), "tree.png"];
  link.click();
};
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-png]");
  if (button) paint(button); else pick(event.target);
});
element.addEventListener("keydown", (event) => {
  const node = event.target.closest("g.node");
  if (!node) return;
  if (event.key === "Enter" || event.key === " ") { pick(node); event.preventDefault(); return; }
  if (event.key.startsWith("Arrow")) { go(node, event.key)?.focus(); event.preventDefault(); }
});
