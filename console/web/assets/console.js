// Makes pages live. Every page reads and works without it. Each part hangs on a data- attribute.
const policy = globalThis.trustedTypes?.createPolicy("leaver", { createHTML: (html) => html });
const parse = (html) => new DOMParser().parseFromString(policy ? policy.createHTML(html) : html, "text/html");
const page = async (url) => {
  const answer = await fetch(url, { headers: { Accept: "text/html" }, credentials: "same-origin" });
  return { ok: answer.ok, document: parse(await answer.text()) };
};

// The viewer's time zone: the server writes every time in it from the next page on.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !document.cookie.includes(`leaver-zone=${zone}`)) {
  document.cookie = `leaver-zone=${zone}; path=/; max-age=31536000; SameSite=Lax`;
}

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const from = document.getElementById(copy.dataset.copy);
    copy.dataset.label ??= copy.textContent;
    try {
      await navigator.clipboard.writeText(from.value ?? from.textContent.trim());
      copy.textContent = "Copied";
      document.dispatchEvent(new Event("copy"));
    } catch { // the browser does not allow it: what is selected can be copied by hand
      getSelection().selectAllChildren(from);
      from.select?.();
      copy.textContent = "Press Ctrl+C";
    }
    setTimeout(() => { copy.textContent = copy.dataset.label; }, 2000);
    return;
  }
  const link = event.target.closest("a[data-panel]");
  if (link && !event.metaKey && !event.ctrlKey && !event.shiftKey && innerWidth > 900) {
    event.preventDefault();
    openPanel(link);
  }
});

// A row's own page beside the list: j and k move, Escape closes, the address is the row's.
let panel;
let rows = [];
const openPanel = async (link) => {
  const { ok, document: found } = await page(link.href);
  const content = found.querySelector("main");
  if (!ok || !content) { location.assign(link.href); return; }
  if (!panel) {
    panel = document.createElement("dialog");
    panel.className = "panel";
    panel.addEventListener("close", () => { history.replaceState(null, "", panel.dataset.back); panel.origin?.focus(); });
    panel.addEventListener("click", (event) => {
      if (event.target === panel && event.clientX < panel.getBoundingClientRect().left) panel.close();
    });
    document.body.append(panel);
  }
  rows = [...document.querySelectorAll("a[data-panel]")];
  if (!panel.open) panel.dataset.back = location.href;
  panel.origin = link;
  const close = document.createElement("button");
  close.textContent = "Close";
  close.addEventListener("click", () => panel.close());
  content.querySelector("h1")?.setAttribute("id", "panel-title");
  panel.setAttribute("aria-labelledby", "panel-title");
  panel.replaceChildren(close, document.adoptNode(content));
  history.replaceState(null, "", link.href);
  rows.forEach((row) => row.closest("tr")?.classList.toggle("chosen", row === link));
  if (!panel.open) panel.showModal();
};
document.addEventListener("keydown", (event) => {
  if (!panel?.open || !["j", "k"].includes(event.key) || event.target.matches("input, textarea")) return;
  const next = rows[rows.indexOf(panel.origin) + (event.key === "j" ? 1 : -1)];
  if (next) openPanel(next);
});

// Filters apply when they change; without script there is a button.
document.querySelectorAll("form[data-filter]").forEach((form) => {
  form.addEventListener("change", () => form.requestSubmit());
});

// "Select all" with a count of what is chosen.
document.querySelectorAll("[data-choose]").forEach((all) => {
  const boxes = [...document.querySelectorAll(`input[type=checkbox][name="${all.dataset.choose}"]`)];
  const out = document.querySelectorAll(`[data-chosen="${all.dataset.choose}"]`);
  const tell = () => {
    const chosen = boxes.filter((box) => box.checked).length;
    all.checked = chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
    out.forEach((each) => { each.textContent = chosen; });
  };
  all.addEventListener("change", () => { boxes.forEach((box) => { box.checked = all.checked; }); tell(); });
  boxes.forEach((box) => box.addEventListener("change", tell));
  tell();
});

// "Select All" of a section of permissions.
document.querySelectorAll("[data-select-all]").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", () => {
    const boxes = [...document.querySelectorAll("[data-section]")].filter((box) => box.dataset.section === button.dataset.selectAll);
    const wanted = boxes.some((box) => !box.checked);
    boxes.forEach((box) => { box.checked = wanted; });
  });
});

// A refused form is still as it was filled in, one page back.
document.querySelectorAll("[data-back]").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", () => history.back());
});

// Closing what is shown once asks, once, where nothing was copied.
document.querySelectorAll("[data-close]").forEach((link) => {
  let isWarned = false;
  document.addEventListener("copy", () => { isWarned = true; });
  link.addEventListener("click", (event) => {
    if (isWarned) return;
    event.preventDefault();
    isWarned = true;
    document.getElementById(link.dataset.close).hidden = false;
  });
});

// A region that a stream keeps up to date, at most once a second; at its end the page is read anew.
document.querySelectorAll("[data-stream]").forEach((region) => {
  const source = new EventSource(region.dataset.stream);
  let waiting;
  let last = 0;
  const show = () => {
    last = Date.now();
    region.replaceChildren(...document.adoptNode(parse(waiting).body).childNodes);
    waiting = undefined;
  };
  source.addEventListener("progress", ({ data }) => {
    const idle = waiting === undefined;
    waiting = data;
    if (idle) setTimeout(show, Math.max(0, last + 1000 - Date.now()));
  });
  source.addEventListener("end", () => { source.close(); location.reload(); });
  addEventListener("pagehide", () => source.close());
});

// A form is sent once.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "yes";
});
addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => { delete form.dataset.sent; }));
