// The run that the line is about goes into the page's address, so that loading the page again, or a copied address, opens that run.
// Gradio runs this once, with `element`; the line changes below it.
const mark = () => {
  const id = element.querySelector(`[data-run]`)?.dataset.run, here = new URL(location.href);
  if (id && here.searchParams.get(`run`) !== id) history.replaceState(null, ``, `${here.pathname}?run=${id}`);
};
new MutationObserver(mark).observe(element, {childList: true, subtree: true, attributes: true});
mark();
if (new URL(location.href).searchParams.has(`run`)) trigger("reopened", {});
