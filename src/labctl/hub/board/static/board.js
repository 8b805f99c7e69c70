// What the pages do by themselves: live rows, times in words, filtering, dialogs. Everything works without it, less smoothly.

const lang = document.documentElement.lang
const ago = new Intl.RelativeTimeFormat(lang, { numeric: "always", style: "short" })
const at = new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "short" })
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]]
const POLL_MS = 5000
const REFRESH_MS = 60000 // what changes without anybody doing anything: an idle GPU is seen to be idle
const GIVE_UP_AFTER = 3
const SOON_S = 1800

function inWords(seconds) {
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1)
  return ago.format(Math.trunc(seconds / size), unit)
}

function asSpan(seconds) {
  const minutes = Math.max(0, Math.floor(seconds / 60))
  const [unit, number] = minutes < 120 ? ["minute", minutes] : ["hour", Math.floor(minutes / 60)]
  return new Intl.NumberFormat(lang, { style: "unit", unit, unitDisplay: "short" }).format(number)
}

function asLeft(seconds) {
  const left = Math.max(0, Math.floor(seconds))
  const two = (number) => String(number).padStart(2, "0")
  return left >= 3600 ? `${Math.floor(left / 3600)}:${two(Math.floor(left / 60) % 60)} h` : `${Math.floor(left / 60)}:${two(left % 60)} min`
}

function tellTimes(root = document) {
  for (const time of root.querySelectorAll("time[data-ago], time[data-left], time[data-at], time[data-for]")) {
    const moment = new Date(time.dateTime)
    const seconds = (moment - Date.now()) / 1000
    const text = "for" in time.dataset ? asSpan(-seconds) : "left" in time.dataset ? asLeft(seconds) : "ago" in time.dataset ? inWords(Math.min(0, seconds)) : at.format(moment)
    if (time.textContent !== text) time.textContent = text
    time.title ||= at.format(moment)
    if ("left" in time.dataset) time.classList.toggle("soon", seconds < SOON_S)
  }
  for (const place of root.querySelectorAll("[data-ends]")) place.hidden = (new Date(place.dataset.ends) - Date.now()) / 1000 >= SOON_S
}

// The same place in what has been replaced, so that nobody who goes by keyboard loses theirs.
function keepingFocus(replace) {
  const held = document.activeElement
  const key = held?.id ? `#${CSS.escape(held.id)}` : held?.getAttribute("href") ? `a[href="${CSS.escape(held.getAttribute("href"))}"]` : null
  replace()
  if (key && !document.contains(held)) document.querySelector(key)?.focus({ preventScroll: true })
}

function fragment(html) {
  const template = document.createElement("template")
  template.innerHTML = html
  return template.content
}

function takeRows(html) {
  keepingFocus(() => {
    for (const row of [...fragment(html).children]) {
      const old = document.getElementById(row.id)
      if (old) old.replaceWith(row)
      else document.querySelector(".matrix tbody")?.append(row)
      if (old) row.classList.add("fresh")
      tellTimes(row)
    }
  })
  filter()
}

function takeSummary(html) {
  const place = document.getElementById("summary")
  if (place) keepingFocus(() => place.replaceChildren(fragment(html)))
  tellTimes(place)
}

async function takePart(place) {
  const answer = await fetch(place.dataset.part, { headers: { "HX-Request": "true" } })
  if (answer.status === 401) return location.reload()
  if (!answer.ok) throw new Error(String(answer.status))
  const html = await answer.text()
  keepingFocus(() => place.replaceChildren(fragment(html)))
  window.htmx.process(place)
  tellTimes(place)
}

function say(state) {
  const place = document.getElementById("live")
  if (!place) return
  place.className = state
  if (place.textContent !== place.dataset[state]) place.textContent = place.dataset[state]
}

function live(place) {
  let failed = 0
  const url = new URL(place.dataset.live, location.href)
  url.searchParams.set("since", place.dataset.version)
  const source = new EventSource(url)
  source.addEventListener("open", () => { failed = 0; say("on") })
  source.addEventListener("rows", (event) => { keep(place, event); takeRows(event.data) })
  source.addEventListener("summary", (event) => takeSummary(event.data))
  source.addEventListener("part", (event) => { keep(place, event); takePart(place).catch(() => say("off")) })
  source.addEventListener("gone", () => { source.close(); location.reload() })
  source.addEventListener("error", () => {
    failed += 1
    say("off")
    if (source.readyState === EventSource.CLOSED || failed >= GIVE_UP_AFTER) { source.close(); poll(place) }
  })
}

function keep(place, event) {
  if (event.lastEventId) place.dataset.version = event.lastEventId
}

// Where nothing streams, for example behind a proxy that keeps answers until they end.
async function poll(place) {
  for (let turn = 1; ; turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    try {
      if (place.dataset.rows) await pollRows(place)
      else await takePart(place)
      say("poll")
      if (turn % 12 === 0) return live(place)
    } catch {
      say("off")
    }
  }
}

async function pollRows(place) {
  const url = new URL(place.dataset.rows, location.href)
  url.searchParams.set("since", place.dataset.version)
  const answer = await fetch(url, { redirect: "manual" })
  if (answer.type === "opaqueredirect") return location.reload() // to the login
  if (!answer.ok) throw new Error(String(answer.status))
  const { version, rows, summary } = await answer.json()
  if (rows) takeRows(rows)
  if (summary) takeSummary(summary)
  place.dataset.version = version
}

function filter() {
  const find = document.getElementById("find")
  if (!find) return
  const words = find.value.toLocaleLowerCase().split(/\s+/).filter(Boolean)
  const needy = document.getElementById("needy").checked
  for (const row of document.querySelectorAll(".matrix tbody tr")) {
    const text = row.querySelector("th").textContent.toLocaleLowerCase()
    row.hidden = !words.every((word) => text.includes(word)) || (needy && !row.classList.contains("needy"))
  }
}

async function openDialog(url) {
  const dialog = document.getElementById("dialog")
  const body = document.getElementById("dialog-body")
  const answer = await fetch(url, { headers: { "HX-Request": "true" } })
  if (answer.headers.get("HX-Redirect")) return location.assign(answer.headers.get("HX-Redirect"))
  body.replaceChildren(fragment(await answer.text()))
  window.htmx.process(body)
  tellTimes(body)
  if (!dialog.open) dialog.showModal()
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-dialog]")
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault()
    openDialog(link.href)
  }
  if (event.target.closest("[data-close]") || event.target.id === "dialog") document.getElementById("dialog").close()
})
document.addEventListener("input", (event) => { if (["find", "needy"].includes(event.target.id)) filter() })
document.addEventListener("htmx:afterSettle", (event) => tellTimes(event.target))
// A refusal is an answer too: it is shown where the answer would be.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status >= 400 && event.detail.xhr.getResponseHeader("content-type")?.startsWith("text/html")) event.detail.shouldSwap = true
})

tellTimes()
setInterval(() => tellTimes(), 1000)
for (const place of document.querySelectorAll("[data-live]")) live(place)
for (const place of document.querySelectorAll("[data-part]")) setInterval(() => takePart(place).catch(() => say("off")), REFRESH_MS)
