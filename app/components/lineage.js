export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".chain");
  box.replaceChildren();
  const make = (tag, name, text) => {
    const e = document.createElement(tag);
    e.className = name;
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const sheet = make("div", "sheet");
  sheet.style.width = `${data.width}px`;
  sheet.style.height = `${data.height}px`;
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("width", data.width);
  svg.setAttribute("height", data.height);
  svg.setAttribute("aria-hidden", "true");
  sheet.append(svg);
  for (const s of data.steps) {
    const e = make("div", "step", s.label);
    e.style.left = `${s.x}px`;
    sheet.append(e);
  }
  const nodes = new Map();
  const lines = [];
  for (const n of data.nodes) {
    const e = make("button", `node ${n.state}`);
    e.type = "button";
    e.style.cssText = `left:${n.x}px;top:${n.y}px;width:${data.w}px;height:${data.h}px`;
    e.append(make("b", "", n.label), make("i", "", n.detail));
    e.title = `${n.label}\n${n.detail}`;
    e.setAttribute("aria-label", `${n.step}: ${n.label}, ${n.detail}`);
    e.dataset.node = n.id;
    if (n.id === data.chosen) {
      e.classList.add("chosen");
      e.setAttribute("aria-current", "true");
    }
    e.onclick = () => setTriggerValue("clicked", n.id);
    e.onmouseenter = () => light(n.id);
    e.onmouseleave = () => light(null);
    e.onfocus = () => light(n.id);
    e.onblur = () => light(null);
    nodes.set(n.id, { e, n });
    sheet.append(e);
  }
  for (const edge of data.edges) {
    const a = nodes.get(edge.one).n, b = nodes.get(edge.other).n;
    const x1 = a.x + data.w, y1 = a.y + data.h / 2, x2 = b.x, y2 = b.y + data.h / 2;
    const half = Math.max(24, (x2 - x1) / 2);
    const p = document.createElementNS(space, "path");
    p.setAttribute("d", `M${x1},${y1} C${x1 + half},${y1} ${x2 - half},${y2} ${x2},${y2}`);
    svg.append(p);
    lines.push({ edge, p, x: (x1 + x2) / 2, y: (y1 + y2) / 2, tag: null });
  }
  const walk = (from, key, other) => {
    const seen = new Set([from]);
    const queue = [from];
    while (queue.length) {
      const here = queue.pop();
      for (const l of lines) {
        if (l.edge[key] === here && !seen.has(l.edge[other])) {
          seen.add(l.edge[other]);
          queue.push(l.edge[other]);
        }
      }
    }
    return seen;
  };
  // Many words at rest would lie upon each other; under the pointer they always show.
  const quiet = data.edges.filter((e) => e.one === data.chosen || e.other === data.chosen).length <= 8;
  const light = (id) => {
    const on = id === null ? null : new Set([...walk(id, "one", "other"), ...walk(id, "other", "one")]);
    for (const [key, { e }] of nodes) e.classList.toggle("off", on !== null && !on.has(key));
    for (const l of lines) {
      const lit = on !== null && on.has(l.edge.one) && on.has(l.edge.other);
      l.p.classList.toggle("on", lit);
      const told = id === null ? quiet && (l.edge.one === data.chosen || l.edge.other === data.chosen)
        : l.edge.one === id || l.edge.other === id;
      if (told && !l.tag) {
        l.tag = make("span", "tag", l.edge.basis);
        l.tag.style.left = `${l.x}px`;
        l.tag.style.top = `${l.y}px`;
        sheet.append(l.tag);
      } else if (!told && l.tag) {
        l.tag.remove();
        l.tag = null;
      }
    }
  };
  light(null);
  box.append(sheet);
  const chosen = box.querySelector(".chosen");
  if (chosen) {
    box.scrollLeft = Math.max(0, chosen.offsetLeft - box.clientWidth / 2 + data.w / 2);
    box.scrollTop = Math.max(0, chosen.offsetTop - box.clientHeight / 2);
  }
}
