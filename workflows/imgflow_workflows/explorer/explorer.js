"use strict";

// A grid of any length: a place for every page of it, filled while it is near the window and emptied when it is not.
function grid(holder) {
  const { pages, tiles, total, per, start } = holder.dataset;
  const first = holder.querySelector(".page");
  const height = (page) => {
    const columns = getComputedStyle(first).gridTemplateColumns.split(" ").length;
    const tall = first.firstElementChild ? first.firstElementChild.getBoundingClientRect().height : 200;
    const count = Math.min(Number(per), Number(total) - page * Number(per));
    return Math.ceil(count / columns) * (tall + 12);
  };
  const places = Array.from({ length: Number(pages) }, (_, page) => {
    const place = page === Number(start) ? first : document.createElement("div");
    place.className = "page";
    place.dataset.page = page;
    return place;
  });
  const waiting = new Map();
  const empty = (place) => {
    waiting.get(place)?.abort();
    waiting.delete(place);
    place.style.minHeight = `${height(Number(place.dataset.page))}px`;
    if (place !== first) place.replaceChildren();
  };
  const fill = async (place) => {
    if (place.childElementCount || waiting.has(place)) return;
    const stop = new AbortController();
    waiting.set(place, stop);
    try {
      const answer = await fetch(`${tiles}&page=${place.dataset.page}`, { signal: stop.signal });
      if (answer.ok) place.innerHTML = await answer.text();
    } catch (error) {
      if (error.name !== "AbortError") place.textContent = "This page cannot be read; is imgflow view still running?";
    }
    waiting.delete(place);
  };
  holder.replaceChildren(...places);
  places.forEach(empty);
  const near = new IntersectionObserver((seen) => {
    for (const one of seen) (one.isIntersecting ? fill : empty)(one.target);
  }, { rootMargin: "1500px 0px" });
  places.forEach((place) => near.observe(place));
  addEventListener("resize", () => places.forEach((place) => {
    place.style.minHeight = `${height(Number(place.dataset.page))}px`;
  }));
  if (Number(start)) first.scrollIntoView();
  document.querySelector(".pager")?.remove();
}

function slider(holder) {
  const range = holder.querySelector("input");
  const move = () => holder.style.setProperty("--at", `${range.value}%`);
  range.addEventListener("input", move);
  move();
}

if (matchMedia("(max-width: 46rem)").matches) document.querySelector(".choices")?.removeAttribute("open");
document.querySelectorAll("[data-pages]").forEach(grid);
document.querySelectorAll(".slider").forEach(slider);
document.querySelectorAll("select[data-submits]").forEach((one) => {
  one.addEventListener("change", () => one.form.submit());
});
// A picture that is not there leaves its place, and says so.
addEventListener("error", (event) => {
  if (event.target instanceof HTMLImageElement) event.target.classList.add("missing");
}, true);
