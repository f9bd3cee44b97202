export default function ({ data, parentElement }) {
  const list = parentElement.querySelector(".ladder");
  list.replaceChildren();
  const make = (tag, name, text) => {
    const e = document.createElement(tag);
    e.className = name;
    if (text !== undefined) e.textContent = text;
    return e;
  };
  for (const s of data.steps) {
    const step = make("li", `step ${s.state}`);
    step.setAttribute("aria-label", [s.name, s.word, s.when, s.took, s.note].filter(Boolean).join(", "));
    if (s.utc) step.title = s.utc;
    const line = make("div", "line");
    line.append(make("span", "dot", s.sign), make("span", "bar"));
    step.append(line, make("div", "name", s.name));
    step.append(make("div", "word", s.when ? `${s.word} ${s.when}` : s.word));
    const quiet = [s.took, s.state === "not_expected" ? "" : s.whose].filter(Boolean).join(" · ");
    if (quiet) step.append(make("div", "quiet", quiet));
    if (s.note) step.append(make("div", "quiet", s.note));
    list.append(step);
  }
}
