// A button in a table opens what its row and column mean. The server looks both up, they are not believed.
element.addEventListener(`click`, (event) => {
  const hit = event.target.closest(`[data-row]`);
  if (hit) trigger("picked", {row: Number(hit.dataset.row), side: Number(hit.dataset.side)});
});
