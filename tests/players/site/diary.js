// What the page saw, and since when: read by the test.
const asked = new URLSearchParams(location.search);
const diary = {};

function note(what, playedSeconds = 0) {
  diary[what] ??= performance.now() - 1000 * playedSeconds;
}
