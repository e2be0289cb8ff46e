// The picture of a candidate: what adds up to its two probabilities, and what becomes of them.
const NAMES = {
  offset: "any film, anybody",
  campaign: "its campaign",
  variant: "this film",
  context: "page and moment",
  affinity: "this viewer's taste",
  viewer: "this viewer as such",
  remainder: "this viewer as such",
  dose: "prerolls seen lately",
};
const ROW = 21;
const SMALLEST = 0.005; // log odds that no eye would see

const BESIDE = 430; // narrower than this the two heads stand one below the other
const GAP = 24;

/** A share as a person would say it. */
export function percent(share) {
  if (share > 0 && share < 0.0005) return "< 0.1 %";
  return `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

function draw(parent, name, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

/** Terms of one head in calibrated log odds: their sum is the logit of its probability. */
function contributions(candidate, head) {
  const { a, b } = candidate.calibrator[head];
  const scaled = Object.entries(candidate.terms[head]).map(([name, z]) => [name, a * z]);
  return new Map(scaled.map(([name, z]) => [name, name === "offset" ? z + b : z]));
}

/** Draw a candidate into an element; it is as wide as the element is now. */
export function picture(parent, candidate) {
  const width = Math.max(260, parent.clientWidth);
  const beside = width > BESIDE;
  const labels = Math.min(150, 0.42 * width);
  const half = beside ? (width - labels - GAP) / 2 : width - labels;
  const heads = [
    { name: "complete", title: "watched to the end", p: candidate.p_complete, tone: "good" },
    { name: "annoyed", title: "annoyed", p: candidate.p_annoyed, tone: "bad" },
  ];
  for (const head of heads) head.terms = contributions(candidate, head.name);
  const rows = [...heads[0].terms.keys()].filter((name) =>
    heads.some((head) => Math.abs(head.terms.get(name)) >= SMALLEST),
  );
  const largest = Math.max(...heads.flatMap((head) => rows.map((n) => Math.abs(head.terms.get(n)))));
  const block = ROW * (rows.length + 2) + 10;
  const foot = beside ? block : 2 * block;
  const svg = draw(parent, "svg", { role: "img", height: foot + 80 });
  svg.setAttribute("aria-label", spoken(candidate, heads, rows));
  heads.forEach((head, index) => {
    head.left = beside ? labels + index * (half + GAP) : labels;
    head.top = beside ? 0 : index * block;
    chances(svg, head, rows, largest, half, beside && index > 0);
  });
  relevance(svg, candidate, foot + 8, width);
}

/** One head: its terms, and the probability that they add up to. */
function chances(svg, head, rows, largest, half, unnamed) {
  const { left, top } = head;
  const label = (y, text, classes) => unnamed || draw(svg, "text", { x: 0, y: y + 14, class: classes }, text);
  draw(svg, "text", { x: left, y: top + 13, class: "soft" }, head.title);
  rows.forEach((name, index) => {
    const y = top + ROW * (index + 1);
    label(y, NAMES[name] ?? name, "");
    term(svg, head, head.terms.get(name), largest, y, half);
  });
  const y = top + ROW * (rows.length + 1) + 4;
  label(y, "probability", "strong");
  const bar = { x: left, y: y + 3, height: 14, rx: 2 };
  draw(svg, "rect", { ...bar, width: half - 48, class: "track" });
  draw(svg, "rect", { ...bar, width: head.p * (half - 48), class: head.tone });
  draw(svg, "text", { x: left + half, y: y + 14, "text-anchor": "end", class: "strong" }, percent(head.p));
}

function term(svg, head, value, largest, y, half) {
  const middle = head.left + half / 2;
  const length = Math.max(1, (Math.abs(value) / largest) * (half / 2 - 34));
  // What makes a viewer annoyed is red, what keeps them from it green.
  const welcome = (value > 0) === (head.name === "complete");
  draw(svg, "line", { x1: middle, x2: middle, y1: y, y2: y + ROW, class: "axis" });
  draw(svg, "rect", {
    x: value < 0 ? middle - length : middle,
    y: y + 4,
    width: length,
    height: 12,
    rx: 2,
    class: welcome ? "up" : "down",
  });
  const text = { y: y + 14, class: "soft", x: middle + (value < 0 ? -length - 4 : length + 4) };
  draw(svg, "text", { ...text, "text-anchor": value < 0 ? "end" : "start" }, value.toFixed(2));
}

/** The line of relevance: the chance to be watched, less what annoyance costs, beside the bar. */
function relevance(svg, candidate, y, width) {
  const loss = candidate.annoyance_cost * candidate.p_annoyed;
  const low = Math.min(0, candidate.relevance, candidate.threshold) - 0.05;
  const high = Math.max(candidate.p_complete, candidate.threshold, 0.3) + 0.05;
  const at = (value) => ((value - low) / (high - low)) * width;
  draw(svg, "text", { x: 0, y: y + 12, class: "strong" }, "relevance against the bar");
  draw(svg, "rect", { x: at(0), y: y + 26, width: at(candidate.p_complete) - at(0), height: 16, class: "good", opacity: 0.35 });
  draw(svg, "rect", {
    x: Math.min(at(candidate.relevance), at(0)),
    y: y + 26,
    width: Math.abs(at(candidate.relevance) - at(0)),
    height: 16,
    class: candidate.relevance >= candidate.threshold ? "good" : "bad",
  });
  draw(svg, "line", { x1: at(0), x2: at(0), y1: y + 22, y2: y + 46, class: "axis" });
  const edge = at(candidate.threshold);
  draw(svg, "line", { x1: edge, x2: edge, y1: y + 20, y2: y + 48, class: "mark" });
  const anchor = edge > 0.7 * width ? "end" : "start";
  draw(svg, "text", { x: edge, y: y + 62, "text-anchor": anchor, class: "strong" }, `bar ${candidate.threshold.toFixed(2)}`);
  const said = `${candidate.p_complete.toFixed(2)} − ${candidate.annoyance_cost} × ${candidate.p_annoyed.toFixed(3)} = ${candidate.relevance.toFixed(2)}`;
  draw(svg, "text", { x: width, y: y + 12, "text-anchor": "end", class: "soft" }, said);
  if (loss > 0.01) {
    draw(svg, "line", { x1: at(candidate.p_complete), x2: at(candidate.relevance), y1: y + 34, y2: y + 34, class: "mark", "stroke-dasharray": "2 3" });
  }
}

function spoken(candidate, heads, rows) {
  const lists = heads.map((head) => {
    const terms = rows.map((name) => `${NAMES[name] ?? name} ${head.terms.get(name).toFixed(2)}`);
    return `${head.title}: ${terms.join(", ")}; probability ${percent(head.p)}`;
  });
  return `${lists.join(". ")}. Relevance ${candidate.relevance.toFixed(2)}, bar ${candidate.threshold.toFixed(2)}.`;
}
