// The page of a bundle: a click or Enter on a node shows the cards on the way to it; arrow keys walk the tree. No server is asked.
if (matchMedia("(prefers-color-scheme: dark)").matches) document.documentElement.classList.add("dark");
for (const shelf of document.querySelectorAll(".shelf")) {
  const steps = shelf.querySelector(".path ol.steps"), trail = shelf.querySelector(".trail");
  const at = (id) => shelf.querySelector(`g.node[data-node="${id}"]`);
  const show = (node) => {
    const line = [];
    for (let here = node; here && here.dataset.parent !== undefined; here = at(here.dataset.parent)) line.unshift(here.dataset.node);
    steps.replaceChildren(...line.map((id) => shelf.querySelector(`.all [data-card="${id}"] .step`).cloneNode(true)));
    trail.textContent = node.getAttribute("aria-label");
    for (const other of shelf.querySelectorAll("g.node")) other.setAttribute("aria-selected", other === node);
  };
  const go = (from, key) => {
    const all = [...shelf.querySelectorAll("g.node")], place = all.indexOf(from);
    if (key === "ArrowUp") return all[place - 1];
    if (key === "ArrowDown") return all[place + 1];
    if (key === "ArrowLeft") return at(from.dataset.parent);
    if (key === "ArrowRight") return all.find((node) => node.dataset.parent === from.dataset.node);
  };
  shelf.addEventListener("click", (event) => { const node = event.target.closest("g.node"); if (node) show(node); });
  shelf.addEventListener("keydown", (event) => {
    const node = event.target.closest("g.node");
    if (!node) return;
    if (event.key === "Enter" || event.key === " ") { show(node); event.preventDefault(); }
    else if (event.key.startsWith("Arrow")) { go(node, event.key)?.focus(); event.preventDefault(); }
  });
}
