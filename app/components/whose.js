export default function ({ data, parentElement }) {
  const box = parentElement.querySelector(".whose");
  box.replaceChildren();
  const make = (tag, name, text) => {
    const e = document.createElement(tag);
    e.className = name;
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const strip = make("div", "strip");
  const legend = make("div", "legend");
  for (const s of data.shares) {
    const part = make("i", s.colour);
    part.style.flexGrow = s.part;
    part.title = `${s.who}: ${s.wall}`;
    strip.append(part);
    const line = make("span", "");
    line.append(make("i", s.colour), make("span", "", `${s.who} `), make("b", "", s.wall),
      make("em", "", s.open ? ` (${s.open} open)` : ""));
    legend.append(line);
  }
  box.setAttribute("aria-label", data.words);
  box.append(strip, legend);
}
