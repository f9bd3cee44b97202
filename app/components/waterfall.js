export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".fall");
  box.replaceChildren();
  const make = (tag, name, text) => {
    const e = document.createElement(tag);
    e.className = name;
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const head = make("div", "row head");
  head.append(make("span", "name", "event"), make("span", "quiet system", "told by"),
    make("span", "", "time"), make("span", "num", "wait"), make("span", "num", "when"));
  box.append(head);
  for (const r of data.rows) {
    const row = make("button", `row ${r.state}`);
    row.type = "button";
    row.title = r.hint;
    row.setAttribute("aria-label", `${r.label}, ${r.system}, ${r.when}, ${r.wait}`);
    const track = make("span", "track");
    const bar = make("span", "bar");
    bar.style.left = `${100 * r.begin}%`;
    bar.style.width = `${100 * r.width}%`;
    const tip = make("span", "tip");
    tip.style.left = `${100 * (r.begin + r.width)}%`;
    track.append(bar, tip);
    row.append(make("span", "name", r.label), make("span", "quiet system", r.system), track,
      make("span", "num", r.wait), make("span", "num", r.when));
    if (r.index === data.chosen) {
      row.classList.add("chosen");
      row.setAttribute("aria-current", "true");
    }
    row.onclick = () => setTriggerValue("clicked", r.index);
    box.append(row);
  }
  const chosen = box.querySelector(".chosen");
  if (chosen) box.scrollTop = Math.max(0, chosen.offsetTop - box.offsetTop - box.clientHeight + 80);
}
