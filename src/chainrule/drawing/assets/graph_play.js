// Playing a walk by itself, and links that hold a step: "#step=7" is the seventh, "#step=all" shows everything.

const BEAT = 1400; // milliseconds of a step at speed 1
const SPEEDS = [0.5, 1, 2, 4, 16];
const playing = { timer: null, speed: 1 };

const isPlaying = () => playing.timer !== null;

function play() {
  if (isPlaying() || !state.steps.length) return;
  if (state.at >= state.steps.length) goTo(0);
  else if (root.dataset.begun !== "yes") goTo(state.at);
  playing.timer = setTimeout(beat, BEAT / playing.speed);
  tellPlaying();
}

function beat() {
  playing.timer = setTimeout(beat, BEAT / playing.speed);
  goTo(state.at + 1);
  if (state.at >= state.steps.length) pause();
}

function pause() {
  clearTimeout(playing.timer);
  playing.timer = null;
  tellPlaying();
}

const playOrPause = () => (isPlaying() ? pause() : play());

function tellPlaying() {
  root.dataset.playing = isPlaying() ? "yes" : "no";
  const words = isPlaying() ? "Pause" : "Play";
  $("play").setAttribute("aria-label", words);
  $("play").title = `${words}  Space`;
  $("play").querySelector("span").textContent = words;
  $("play").disabled = !state.steps.length;
}

function startPlaying() {
  $("play").addEventListener("click", playOrPause);
  const options = SPEEDS.map((speed) => element("option", { value: speed, selected: speed === 1 }, `${speed}×`));
  $("speed").append(...options);
  $("speed").addEventListener("change", () => {
    playing.speed = Number($("speed").value);
  });
  tellPlaying();
}

// Which step the address names, as goTo takes it; null where it names none.
function stepOfAddress() {
  const found = /[#&]step=(\d+|all)\b/.exec(window.location.hash);
  if (!found) return null;
  return found[1] === "all" ? state.steps.length : Math.min(Math.max(Number(found[1]) - 1, 0), state.steps.length);
}

// Hold the step in the address. A page inside another page has none of its own.
function keepInAddress() {
  const step = state.at >= state.steps.length ? "all" : state.at + 1;
  try {
    window.history.replaceState(null, "", `#step=${step}`);
  } catch {
    delete root.dataset.linked;
  }
}
