export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".streams");
  box.replaceChildren();
  const NS = "http://www.w3.org/2000/svg";
  const make = (tag, given, text) => {
    const e = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(given)) e.setAttribute(name, value);
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const head = 24;
  const svg = make("svg", {
    viewBox: `0 0 ${data.wide} ${data.high + head + 8}`, role: "group", "aria-label": data.words,
  });
  const xs = [data.room, (data.wide - data.bar) / 2, data.wide - data.room - data.bar];
  const spots = ["end", "start", "start"];
  data.columns.forEach((name, n) => {
    const x = n === 0 ? xs[0] - 8 : xs[n] + data.bar + 8;
    svg.append(make("text", { x, y: 13, class: "head", "text-anchor": spots[n] }, name));
  });
  const lit = (test) => {
    bands.forEach((one) => one.path.classList.toggle("dim", !test(one.of)));
  };
  const bands = data.bands.map((b) => {
    const one = data.nodes[b.one], other = data.nodes[b.other];
    const x1 = xs[one.column] + data.bar, x2 = xs[other.column], mid = (x1 + x2) / 2;
    const y1 = b.left + head, y2 = b.right + head;
    const d = `M${x1},${y1}C${mid},${y1} ${mid},${y2} ${x2},${y2}` +
      `L${x2},${y2 + b.high}C${mid},${y2 + b.high} ${mid},${y1 + b.high} ${x1},${y1 + b.high}Z`;
    const path = make("path", { d, class: `band k${one.column}` });
    path.append(make("title", {}, `${one.name} → ${other.name}: ${b.lines}`));
    svg.append(path);
    return { path, of: b };
  });
  data.nodes.forEach((n, index) => {
    const x = xs[n.column], y = n.top + head, middle = y + n.high / 2;
    const words = `${data.columns[n.column]} ${n.name}: ${n.lines}`;
    const group = make("g", { class: n.open ? "node open" : "node", "aria-label": words });
    group.append(make("rect", { x, y, width: data.bar, height: n.high, class: `bar k${n.column}` }));
    const tx = n.column === 0 ? x - 8 : x + data.bar + 8;
    const most = n.column === 1 ? 30 : 28;
    const name = n.name.length > most ? `${n.name.slice(0, most - 1)}…` : n.name;
    const text = make("text", { x: tx, y: middle, "text-anchor": spots[n.column] });
    text.append(make("tspan", { class: "name" }, name), make("tspan", { class: "lines", dx: 6 }, n.lines));
    group.append(make("title", {}, words + (n.open ? " – click to narrow the list" : "")), text);
    group.onmouseenter = () => lit((b) => touches(b, index));
    group.onmouseleave = () => lit(() => true);
    if (n.open) {
      group.setAttribute("tabindex", "0");
      group.setAttribute("role", "button");
      group.onclick = () => setTriggerValue("clicked", index);
      group.onkeydown = (e) => {
        if (e.key === "Enter" || e.key === " ") {
          e.preventDefault();
          setTriggerValue("clicked", index);
        }
      };
    }
    svg.append(group);
  });
  const touches = (b, index) => b.one === index || b.other === index;
  box.append(svg);
}
