export default function ({ data, parentElement }) {
  const box = parentElement.querySelector(".sides");
  box.replaceChildren();
  const cell = (name, parts) => {
    const e = document.createElement("span");
    e.className = name;
    for (const [differs, text] of parts) {
      const part = document.createElement(differs ? "b" : "span");
      part.textContent = text;
      e.append(part);
    }
    box.append(e);
  };
  const plain = (text) => [[false, text]];
  cell("n h", plain("#"));
  cell("h", plain(data.left));
  cell("n h", plain("#"));
  cell("h", plain(data.right));
  for (const r of data.rows) {
    cell("n", plain(r.ln ?? ""));
    cell(r.l ? (r.same ? "" : "was") : "none", r.l ?? []);
    cell("n", plain(r.rn ?? ""));
    cell(r.r ? (r.same ? "" : "is") : "none", r.r ?? []);
  }
}
