// Votes on the steps of a chain: buttons, or the keys r, n, w (also 1, 2, 3) on a row; arrow keys go up and down. Every message holds all
// votes so far, so that none is lost when they come fast. What the reward thinks is not on the page before the vote: the server sends it.
const keys = {r: `right`, n: `neutral`, w: `wrong`, 1: `right`, 2: `neutral`, 3: `wrong`};
const rows = () => [...element.querySelectorAll(`li[data-step]`)];
let ahead = null;
const vote = (row, word) => {
  row.dataset.said = word;
  for (const button of row.querySelectorAll(`[data-vote]`)) button.setAttribute(`aria-pressed`, button.dataset.vote === word);
  ahead = Math.min(rows().indexOf(row) + 1, rows().length - 1);
  rows()[ahead].focus();
  trigger("voted", {votes: rows().map((each) => each.dataset.said || null), chain: element.querySelector(`.votes`).dataset.chain});
};
element.addEventListener(`click`, (event) => {
  const button = event.target.closest(`[data-vote]`);
  if (button) vote(button.closest(`li`), button.dataset.vote);
});
element.addEventListener(`keydown`, (event) => {
  const row = event.target.closest(`li[data-step]`);
  if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = {ArrowUp: -1, ArrowDown: 1}[event.key];
  if (keys[event.key]) { vote(row, keys[event.key]); event.preventDefault(); }
  else if (step) { rows()[rows().indexOf(row) + step]?.focus(); event.preventDefault(); }
});
new MutationObserver(() => {  // the rows have come anew with what the reward thinks: the next one keeps the focus
  const lost = document.activeElement === document.body || document.activeElement === null;
  if (ahead !== null && lost) rows()[ahead]?.focus();
}).observe(element, {childList: true, subtree: true});
