// Sphinx names a result that is an entry of the index, such as a term of the glossary, by the title
// of its page alone. The anchor says which one it is.
const results = document.getElementById("search-results");
if (results) {
  new MutationObserver(() => {
    for (const link of results.querySelectorAll("li.kind-index > a:not([data-named])")) {
      const anchor = decodeURIComponent(new URL(link.href).hash.slice(1));
      link.dataset.named = "";
      link.append(`: ${anchor.replaceAll("-", " ")}`);
    }
  }).observe(results, { childList: true, subtree: true });
}
