// The demo's page: choose, play, and see why. It asks the server what any player would ask, and
// beside that for the story of the decision, read back from the journal.
import { PlainStage, ShakaStage } from "/demo/players.js";
import { percent, picture } from "/demo/picture.js";

const POLL_MS = 300;
const POLLED_S_MAX = 150;
const LISTED = 6;
const INTENTS = {
  know: "I want to know",
  go: "I want to go somewhere",
  do: "I want to do something",
  buy: "I want to buy",
  ideas: "looking for ideas",
  compare: "comparing",
  plan: "planning",
};
const EVENTS = {
  impression: "impression",
  start: "start",
  first_quartile: "25 %",
  midpoint: "50 %",
  third_quartile: "75 %",
  complete: "complete",
};
const STAGES = {
  flight: "in flight now",
  targeting: "targeted at this page",
  player: "playable here",
  suppression: "not suppressed for this viewer",
  caps: "under every cap",
  budget: "with budget",
  shortlist: "on the shortlist, the most relevant ones",
  threshold: "above the bar",
};

const $ = (id) => document.getElementById(id);
let scene;
let stage;
let turn = 0;
let redraw = () => {};

function make(name, text, classes) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (classes) node.className = classes;
  return node;
}

async function open() {
  scene = await (await fetch("/demo/scene.json")).json();
  const Stage = scene.player ? ShakaStage : PlainStage;
  await Stage.load();
  stage = new Stage($("stage"));
  const real = scene.world === "movielens";
  $("world").textContent = real
    ? "Real viewers and their real ratings of films; bids, lengths and clips are made up."
    : "Viewers and films are made up.";
  $("about").textContent = scene.player
    ? `Played with ${scene.player}, from this server's VAST tag.`
    : "Played with the browser's own player: Shaka Player is not there. It is fetched with npm when the demo starts.";
  hints().forEach((line) => $("hint").append(make("p", line)));
  scene.members.forEach(card);
  card({ viewer: "", category: scene.members[0].category });
  for (const category of scene.categories) {
    $("category").append(new Option(category.startsWith("IAB") ? "films in general" : category, category));
  }
  $("intent").append(new Option("not told", ""));
  for (const intent of scene.intents) $("intent").append(new Option(INTENTS[intent] ?? intent, intent));
  $("viewers").querySelector("input").click();
  $("choose").addEventListener("submit", (event) => {
    event.preventDefault();
    play().catch((error) => status(`That went wrong: ${error.message}`));
  });
}

function hints() {
  const lines = [];
  if (scene.examples >= 3) {
    lines.push(
      "The first three viewers look at the same page. The first two are mostly shown different films " +
        "of one campaign; for the third nothing is relevant enough, and their film begins at once.",
    );
  }
  lines.push(
    "What was chosen, and why, will stand here: what adds up to the chance that the viewer watches to " +
      "the end, and to the chance that it annoys; what is left of it against the bar; and who else was considered.",
  );
  return lines;
}

function card(member) {
  const label = make("label");
  const input = make("input");
  Object.assign(input, { type: "radio", name: "viewer", value: member.viewer });
  input.addEventListener("change", () => ($("category").value = member.category));
  label.append(input, make("b", member.viewer || "a stranger"));
  if (member.viewer) {
    label.append(
      make("span", `favourite: ${member.favourite}`),
      make("span", `liked ${member.completed} of ${member.seen}, annoyed by ${member.annoyed}`),
    );
  } else {
    label.append(make("span", "nothing known: the page decides"));
  }
  $("viewers").append(label);
}

function status(text) {
  $("status").textContent = text;
}

function tagOf(choice) {
  const query = new URLSearchParams({ placement: scene.placement, rid: crypto.randomUUID() });
  const { viewer, category, intent } = choice;
  for (const [name, value] of Object.entries({ viewer, cat: category, intent })) {
    if (value) query.set(name, value);
  }
  return `${location.origin}/v1/vast?${query}`;
}

async function play() {
  const mine = ++turn;
  const viewer = document.querySelector("input[name=viewer]:checked").value;
  const tag = tagOf({ viewer, category: $("category").value, intent: $("intent").value });
  $("play").disabled = true;
  $("screen").classList.add("waiting");
  $("caption").hidden = true;
  // On a phone the player sticks to the top: what follows it begins where its section does.
  $("watch").scrollIntoView({ block: "start", behavior: "smooth" });
  const asked = performance.now();
  // The same rid gives the player the very answer that the page reads here.
  const vast = await (await fetch(tag)).text();
  const token = /[?&]d=([\w-]+)/.exec(vast)?.[1];
  const shows = vast.includes("<Ad ");
  status(shows ? "A preroll was chosen." : "No preroll: the film plays at once.");
  const told = follow(mine, token);
  let film;
  told.first.then((story) => mine === turn && (film = explain(story, viewer)));
  const tell = (what) => {
    if (mine !== turn) return;
    if (what === "ad" || !shows || what === "content") $("screen").classList.remove("waiting");
    $("caption").hidden = what !== "ad";
    if (what === "ad") told.first.then((story) => mine === turn && caption(story));
    if (what === "content") {
      const waited = ((performance.now() - asked) / 1000).toFixed(1);
      status(shows ? `The film plays, ${waited} s after play.` : `No preroll, and the film played after ${waited} s.`);
    }
    if (what === "over") status("The film is over. Choose another viewer, or the same again: each preroll raises the bar.");
  };
  try {
    await stage.start(tag, location.origin + scene.content, tell);
  } finally {
    $("screen").classList.remove("waiting");
    $("play").disabled = false;
  }
}

/** Ask for the story again and again, as long as something may still be heard of it. */
function follow(mine, token) {
  const until = performance.now() + 1000 * POLLED_S_MAX;
  let resolve;
  const first = new Promise((done) => (resolve = done));
  const ask = async () => {
    if (mine !== turn || performance.now() > until || !token) return;
    const answer = await fetch(`/demo/story?d=${token}`);
    if (answer.ok) {
      const story = await answer.json();
      resolve(story);
      heard(story.account);
      if (over(story.account)) return;
    }
    setTimeout(ask, POLL_MS);
  };
  ask();
  return { first };
}

const over = ({ action, events }) =>
  action === "none" || events.some(({ event }) => ["complete", "skip", "error"].includes(event));

function heard({ action, time, events }) {
  const list = $("events");
  list.hidden = action === "none";
  const at = new Map(events.map(({ event, time: then }) => [event, (Date.parse(then) - Date.parse(time)) / 1000]));
  const ended = at.has("skip") || at.has("error");
  const names = Object.keys(EVENTS).filter((name) => !ended || at.has(name));
  const more = [...at.keys()].filter((name) => !(name in EVENTS));
  list.replaceChildren(
    ...[...names, ...more].map((name) => {
      const item = make("li", EVENTS[name] ?? name.replace("_", " "), at.has(name) ? "heard" : "");
      if (at.has(name)) item.append(" ", make("small", `+${at.get(name).toFixed(1)} s`));
      return item;
    }),
  );
}

function caption({ account, films }) {
  const film = films[account.variant];
  $("caption").replaceChildren(film?.title ?? account.variant, make("small", "preroll"));
}

function explain(story, viewer) {
  const { account, films, why, words } = story;
  const named = (variant) => films[variant]?.title ?? variant;
  const candidates = account.explanation.candidates ?? [];
  const chosen =
    candidates.find(({ variant }) => variant === account.variant) ??
    candidates.toSorted((one, other) => other.relevance - other.threshold - one.relevance + one.threshold)[0];
  const shown = account.action === "show";
  const parts = [
    make("p", shown ? (account.surprise ? "shown, as a surprise" : "shown") : "nothing shown", `verdict ${account.action}`),
    make("h2", shown ? named(account.variant) : sentence(why)),
  ];
  parts.push(...(chosen ? reasons(account, chosen, named, viewer) : []));
  const frame = make("div");
  if (chosen) {
    parts.push(make("h3", `What adds up, for ${named(chosen.variant)}`), frame);
    parts.push(make("h3", "What else was considered"), considered(account, candidates, films, chosen));
  }
  parts.push(make("h3", "What fell away"), funnel(account.explanation.stages ?? []));
  const details = make("details");
  details.append(make("summary", "All of it, in words"), make("pre", words));
  $("why").replaceChildren(...parts, details);
  redraw = () => {
    frame.replaceChildren();
    if (chosen) picture(frame, chosen);
  };
  redraw();
}

const bid = (candidate) => candidate.bid_cpm.toFixed(2);
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + ".";

function reasons(account, chosen, named, viewer) {
  const shown = account.action === "show";
  const who = viewer || "A stranger";
  const over = chosen.relevance - chosen.threshold;
  const dosed = account.draw.dose_weight * chosen.dose;
  const lines = [
    `${who} is ${percent(chosen.p_complete)} likely to watch ${shown ? "it" : `the nearest, ${named(chosen.variant)},`} ` +
      `to the end and ${percent(chosen.p_annoyed)} likely to be annoyed. Annoyance counts ${chosen.annoyance_cost} times, ` +
      `so its relevance is ${chosen.relevance.toFixed(2)}: ${Math.abs(over).toFixed(2)} ${over < 0 ? "below" : "above"} the bar.`,
  ];
  if (dosed > 0.0005) {
    const count = chosen.dose.toFixed(1);
    lines.push(`The bar stands ${dosed.toFixed(2)} higher for what was seen lately (${count} prerolls, fading).`);
  }
  const better = (account.explanation.candidates ?? []).find((each) => each.relevance > chosen.relevance + 0.005);
  if (shown && better) {
    lines.push(
      `${named(better.variant)} is more relevant, at ${better.relevance.toFixed(2)}, but ` +
        (better.priority > chosen.priority || (better.house && !chosen.house)
          ? "of lower priority."
          : `what counts is relevance above the bar times bid: ${bid(better)} against ${bid(chosen)} ${account.currency}.`),
    );
  }
  const { intent, source } = account.explanation.moment ?? {};
  if (intent) lines.push(`The moment: ${INTENTS[intent] ?? intent} (${source}).`);
  if (account.draw.drawn) {
    lines.push(
      `The server explores a little: this answer had a chance of ${percent(account.propensity)}` +
        (shown ? `, nothing at all one of ${percent(account.draw.p_nothing)}.` : "."),
    );
  }
  return lines.map((line) => make("p", line));
}

function considered(account, candidates, films, chosen) {
  const rows = candidates.filter((each, rank) => rank < LISTED || each === chosen);
  const table = make("table");
  const head = make("tr");
  for (const [text, tone] of [["film", ""], ["relevance", "n"], ["bid", "n"], ["chance", "n"]]) head.append(make("th", text, tone));
  table.append(head);
  for (const each of rows) {
    const row = make("tr", undefined, each.variant === account.variant ? "shown" : "");
    const film = films[each.variant];
    const name = make("td");
    const dot = make("span", "", "dot");
    dot.style.background = scene.colours[film?.kind] ?? "gray";
    name.append(dot, film?.title ?? each.variant);
    row.append(name);
    for (const text of [each.relevance.toFixed(2), bid(each), percent(each.propensity)]) row.append(make("td", text, "n"));
    table.append(row);
  }
  const block = make("div");
  block.append(table);
  const rest = candidates.length - rows.length + account.rest.count;
  if (rest > 0) block.append(make("p", `and ${rest.toLocaleString("en")} more, less relevant`, "hint"));
  return block;
}

function funnel(stages) {
  const list = make("ol");
  list.id = "funnel";
  const line = (count, text) => {
    const item = make("li");
    item.append(make("b", count.toLocaleString("en")), make("span", text));
    list.append(item);
  };
  if (stages.length) line(stages[0].in, "films in the catalogue");
  for (const each of stages) if (each.in) line(each.out, STAGES[each.stage] ?? each.stage);
  return list;
}

addEventListener("resize", () => redraw());
open().catch((error) => status(`The page could not start: ${error.message}`));
