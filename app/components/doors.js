export default function ({ parentElement }) {
  const here = window.location.pathname + window.location.search;
  const link = parentElement.querySelector("a.door");
  link.href = "/signin?next=" + encodeURIComponent(here);
}
