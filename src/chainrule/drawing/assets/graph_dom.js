// Elements and numbers as text. Text goes in as text only: no name of a node can become markup.

// element("p", {class: "faint", onclick: f}, "text", another, ...): null and undefined children are left out.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

// JSON knows no NaN: page.py writes it, and the infinities, as words.
const WORDS = { nan: NaN, inf: Infinity, "-inf": -Infinity };
const numeric = (value) => (typeof value === "string" ? WORDS[value] : value);

// At most four significant digits, as number_text in statistics.py: 0.25, 1.1, 220, 1.5e-7.
function brief(value) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) {
    const [mantissa, exponent] = value.toExponential(2).split("e");
    return `${Number(mantissa)}e${Number(exponent)}`;
  }
  return size < 1e4 ? String(Number(value.toPrecision(4))) : value.toFixed(0);
}

// From here on Python writes a number with an exponent: 1e+06 for float32, 1e+16 for float64.
const LARGE = { float32: 1e6, float64: 1e16 };

// All digits that tell a number from its neighbours of the same type, written as Python does: 0.1, 1e-07, 100.0.
function exact(value, type = "float64") {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (type === "bool") return value ? "True" : "False";
  if (!type.startsWith("float")) return String(value);
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const [mantissa, power] = shortest(value, type).split("e");
  const sign = value < 0 ? "-" : "";
  const digits = mantissa.replace(/[-.]/g, "");
  const exponent = Number(power);
  if (Math.abs(value) < 1e-4 || Math.abs(value) >= (LARGE[type] ?? 1e16)) {
    const tail = digits.length > 1 ? `.${digits.slice(1)}` : "";
    return `${sign}${digits[0]}${tail}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${sign}${whole}.${digits.slice(exponent + 1) || "0"}`;
}

// The shortest "d.ddde±x" that reads back as the same number of its type.
function shortest(value, type) {
  if (type !== "float32") return value.toExponential();
  for (let digits = 0; digits < 9; digits++) {
    const text = value.toExponential(digits);
    if (Math.fround(Number(text)) === value) return text;
  }
  return value.toExponential();
}

// A number in a sentence: short to read, its exact digits in data-exact and shown when one points at it.
function number(value, type = "float64", role = "") {
  const digits = exact(value, type);
  const bad = Number.isFinite(value) ? "" : " bad";
  return element("span", { class: `number ${role}${bad}`, "data-exact": digits, title: digits }, brief(value));
}

// A shape as people write it: "10×64", "3 numbers".
function shapeText(shape) {
  if (shape.length === 1) return plural(shape[0], "number");
  return shape.length ? shape.join("×") : "number";
}

const indexText = (index) => (index.length ? `[${index.join(", ")}]` : "");
const count = (many) => many.toLocaleString("en");
const plural = (many, word) => `${count(many)} ${word}${many === 1 ? "" : "s"}`;

// "3 NaN, 1 infinite": what is not finite in an array, in words; empty when all is.
function trouble(array) {
  const parts = [[array.nans, "NaN"], [array.infinities, "infinite"]];
  return parts.filter(([many]) => many).map(([many, word]) => `${count(many)} ${word}`).join(", ");
}
