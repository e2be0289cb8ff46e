// Two ways to play: Shaka Player, which reads VAST itself, or the browser's own with the little
// reading of VAST below. Both tell the page "ad", "content" and "over".
const PATIENCE_MS = 3000; // for the tag; whoever came for the film does not wait longer
const FIRST_STEP_S = 0.4; // Shaka begins a preroll at the content's first step

export class ShakaStage {
  static async load() {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = "/demo/player/controls.css";
    document.head.append(style);
    await new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = "/demo/player/shaka-player.ui.js";
      script.onload = done;
      script.onerror = failed;
      document.head.append(script);
    });
  }

  constructor(stage) {
    this.stage = stage;
  }

  async start(tag, content, tell) {
    await this.ui?.destroy();
    const video = document.createElement("video");
    video.playsInline = true;
    this.stage.replaceChildren(video);
    const player = new shaka.Player();
    await player.attach(video);
    this.ui = new shaka.ui.Overlay(player, this.stage, video);
    this.ui.configure({ controlPanelElements: ["play_pause", "time_and_duration", "spacer", "fullscreen"] });
    const ads = player.getAdManager();
    let playing = false;
    let told = false;
    ads.addEventListener("ad-started", () => {
      playing = true;
      tell("ad");
    });
    ads.addEventListener("ad-stopped", () => (playing = false));
    video.addEventListener("timeupdate", () => {
      if (told || playing || video.currentTime < FIRST_STEP_S) return;
      told = true;
      tell("content");
    });
    video.addEventListener("ended", () => tell("over"));
    const late = new Promise((_, fail) => setTimeout(fail, PATIENCE_MS));
    await Promise.race([ads.addAdUrlInterstitial(tag), late]).catch(() => {});
    await player.load(content);
    await video.play();
  }
}

export class PlainStage {
  static async load() {}

  constructor(stage) {
    this.stage = stage;
  }

  async start(tag, content, tell) {
    const video = document.createElement("video");
    video.controls = true;
    video.playsInline = true;
    this.stage.replaceChildren(video);
    const ad = await read(tag).catch(() => null);
    if (ad?.media) {
      tell("ad");
      await this.#advertise(video, ad);
    }
    video.onclick = null;
    video.src = content;
    video.addEventListener("timeupdate", () => tell("content"), { once: true });
    video.addEventListener("ended", () => tell("over"), { once: true });
    await video.play();
  }

  async #advertise(video, ad) {
    const over = new AbortController();
    const listen = (event, what) => video.addEventListener(event, what, { signal: over.signal });
    const quartiles = ["start", "firstQuartile", "midpoint", "thirdQuartile"];
    const skip = document.createElement("button");
    skip.id = "skip";
    skip.textContent = "Skip";
    await new Promise((done) => {
      listen("playing", () => ad.impressions.splice(0).forEach(beacon));
      listen("timeupdate", () => {
        const reached = Math.floor((4 * video.currentTime) / video.duration);
        quartiles.forEach((name, index) => index <= reached && ad.report(name));
        if (video.currentTime >= ad.skipAfter && !skip.isConnected) this.stage.append(skip);
      });
      listen("ended", () => done(ad.report("complete")));
      listen("error", () => done(ad.errors.forEach(beacon)));
      skip.onclick = () => done(ad.report("skip"));
      video.onclick = (event) => {
        event.preventDefault();
        ad.clicks.forEach(beacon);
        if (ad.landing) window.open(ad.landing, "_blank", "noopener");
      };
      video.src = ad.media;
      video.play().catch(done);
    });
    over.abort();
    skip.remove();
  }
}

async function read(tag) {
  const answer = await fetch(tag, { signal: AbortSignal.timeout(PATIENCE_MS) });
  const xml = new DOMParser().parseFromString(await answer.text(), "text/xml");
  const all = (name) => [...xml.getElementsByTagName(name)];
  const urls = (name) => all(name).map((node) => node.textContent.trim());
  const tracking = new Map(all("Tracking").map((node) => [node.getAttribute("event"), node.textContent.trim()]));
  const [hours, minutes, seconds] = (all("Linear")[0]?.getAttribute("skipoffset") ?? "").split(":");
  return {
    media: urls("MediaFile").at(-1),
    impressions: urls("Impression"),
    errors: urls("Error"),
    clicks: urls("ClickTracking"),
    landing: urls("ClickThrough")[0],
    skipAfter: seconds === undefined ? Infinity : 3600 * hours + 60 * minutes + Number(seconds),
    report(event) {
      const url = tracking.get(event);
      tracking.delete(event); // each once
      if (url) beacon(url);
    },
  };
}

function beacon(url) {
  fetch(url, { keepalive: true, credentials: "include" }).catch(() => {});
}
