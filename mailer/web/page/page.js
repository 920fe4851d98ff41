
"use strict";
// Without this script the pages can be read as well: it brings news, and lets arrow keys turn the pages.
{
  let seen = document.body.dataset.seen;
  const live = document.getElementById("live");

  async function refresh(number) {
    const answer = await fetch(location.href);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const focused = document.activeElement;
    const [key, value] = focused?.href ? ["href", focused.getAttribute("href")] : ["id", focused?.id];
    for (const old of document.querySelectorAll("[data-live]")) {
      const found = fresh.getElementById(old.id);
      if (found) old.replaceWith(document.adoptNode(found));
    }
    document.title = fresh.title;
    if (value) document.querySelector(`[${key}="${CSS.escape(value)}"]`)?.focus({ preventScroll: true });
    seen = number;
  }

  if (seen !== undefined) {
    const events = new EventSource("/events");
    let busy = Promise.resolve();
    events.onopen = () => live && ((live.hidden = false), (live.dataset.state = "on"), (live.textContent = "live"));
    events.onerror = () => live && ((live.dataset.state = "off"), (live.textContent = "not connected"));
    events.onmessage = ({ data }) => {
      busy = busy.then(() => (data === seen ? undefined : refresh(data))).catch(() => undefined);
    };
  }

  addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.target instanceof Element && event.target.closest("input, textarea, select, pre, .scroll")) return;
    const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
    const link = rel && document.querySelector(`a[rel="${rel}"]`);
    if (link) {
      event.preventDefault();
      location.assign(link.href);
    }
  });
}
