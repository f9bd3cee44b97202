export default function ({ data, parentElement }) {
  const frame = parentElement.querySelector(".letter");
  // Without allow-scripts and allow-same-origin; a click on a link may lead the page on.
  frame.setAttribute("sandbox", "allow-top-navigation-by-user-activation");
  const base = '<base target="_top">';
  const at = data.html.search(/<head[^>]*>/i);
  const html = at < 0 ? base + data.html
    : data.html.replace(/<head[^>]*>/i, (head) => head + base);
  if (frame.srcdoc !== html) frame.srcdoc = html;
}
