// Formulas as mathematics: "dL/dx = dL/dy * (p - t) / N" becomes MathML, with fractions, sums and raised signs. What is
// no mathematics, "where x > 0, else 0", stays words. Nothing is refused.

const MATH = "http://www.w3.org/1998/Math/MathML";
const GREEK = { gamma: "γ", beta: "β", alpha: "α", epsilon: "ε", pi: "π", delta: "δ" };
const FUNCTION = new Set(["exp", "log", "sqrt", "tanh", "max", "softmax", "sign"]);
const NAME = /^(?:[A-Za-z]'?(?:_[A-Za-z0-9]+)?|d[A-Z]\/d\w+|gamma|beta|alpha|epsilon|delta|pi|sum(?:_\w+)?|std|var|mean)$/;
const TOKEN = /[A-Za-z]\w*'s\b|dL\/d\w+|[A-Za-z]\w*'?(?:_\w+)?|\d+(?:\.\d+)?(?:e-?\d+)?|\*\*|<=|>=|[^\s\w`]/g;
const SIGNS = { "*": "×", "-": "−", "<=": "≤", ">=": "≥", "@": "" };

const isWord = (token) => /^[A-Za-z]/.test(token ?? "") && !NAME.test(token) && !FUNCTION.has(token);

const mathElement = (tag, ...children) => {
  const made = document.createElementNS(MATH, tag);
  made.append(...children);
  return made;
};

class Typesetter {
  constructor(text) {
    this.tokens = text.match(TOKEN) ?? [];
    this.at = 0;
  }

  get next() {
    return this.tokens[this.at];
  }

  take() {
    return this.tokens[this.at++];
  }

  // Everything up to a closing sign, or the end.
  row(closing = null) {
    const parts = [];
    while (this.next !== undefined && this.next !== closing) {
      const token = this.next;
      if (token === "/" && parts.length && parts.at(-1).tagName !== "mtext") {
        this.take();
        const above = parts.pop();
        parts.push(mathElement("mfrac", bare(above), bare(this.factor())));
      } else if (token === "^" || token === "**") {
        this.take();
        const base = parts.pop() ?? mathElement("mrow");
        parts.push(mathElement("msup", base, bare(this.factor())));
      } else {
        const isPrefix = token === "-" && (!parts.length || parts.at(-1).tagName === "mo");
        parts.push(this.factor());
        if (isPrefix) parts.at(-1).setAttribute("form", "prefix");
      }
    }
    return parts;
  }

  factor() {
    const token = this.take();
    if (token === undefined) return mathElement("mrow");
    if (token === "(" && isWord(this.next)) return this.aside();
    if (token === "(") {
      const inner = mathElement("mrow", mathElement("mo", "("), ...this.row(")"), mathElement("mo", ")"));
      this.take();
      inner.isBracketed = true;
      return inner;
    }
    if (token === "|" && this.tokens.indexOf("|", this.at) > 0) {
      const inner = mathElement("mrow", mathElement("mo", "|"), ...this.row("|"), mathElement("mo", "|"));
      this.take();
      return inner;
    }
    if (/^\d/.test(token)) return mathElement("mn", token);
    if (/^[A-Za-z]/.test(token)) return this.named(token);
    return mathElement("mo", SIGNS[token] ?? token);
  }

  // "(at 0 too)": brackets that hold words.
  aside() {
    const words = [];
    while (this.next !== undefined && this.next !== ")") words.push(this.take());
    this.take();
    return mathElement("mtext", `\u00a0(${words.join(" ")})`);
  }

  // Words, with a space before and behind them.
  words(first) {
    const found = [first];
    while (isWord(this.next)) found.push(this.take());
    const behind = /^[.,;:)\]]?$/.test(this.next ?? "") ? "" : "\u00a0";
    return mathElement("mtext", `\u00a0${found.join(" ")}${behind}`);
  }

  named(token) {
    const partialOf = /^dL\/d(\w+)$/.exec(token);
    if (partialOf) return mathElement("mfrac", withD("L"), withD(partialOf[1]));
    if (token === "sqrt" && this.next === "(") return mathElement("msqrt", bare(this.factor()));
    const [word, below] = token.split("_");
    if (word === "sum" && below) {
      const sign = mathElement("msub", mathElement("mo", "∑"), mathElement("mi", below));
      return /^[A-Za-z]/.test(this.next ?? "") ? mathElement("mrow", sign, this.factor()) : sign;
    }
    if (FUNCTION.has(word)) {
      const name = mathElement("mi", word);
      return this.next === "(" ? mathElement("mrow", name, this.factor()) : mathElement("mrow", name, mathElement("mtext", "\u2009"));
    }
    if (!NAME.test(token)) return this.words(token);
    if (word === "T" && this.tokens[this.at - 2] === "^") return mathElement("mo", "⊤");
    const sign = mathElement("mi", (GREEK[word] ?? word).replace("'", "′"));
    return below ? mathElement("msub", sign, mathElement("mi", below)) : sign;
  }
}

function withD(words) {
  const [word, below] = words.split("_");
  const name = mathElement("mi", GREEK[word] ?? word);
  return mathElement("mrow", mathElement("mo", "∂"), below ? mathElement("msub", name, mathElement("mi", below)) : name);
}

// Without the brackets that a fraction, a root or a raised sign needs no more.
function bare(part) {
  if (!part.isBracketed) return part;
  return mathElement("mrow", ...[...part.childNodes].slice(1, -1));
}

// A formula typeset, with its text for those who copy it, search in it or have it read aloud.
function typeset(formula) {
  const clauses = formula.split(/,\s+(?=\S+ = )/);
  return clauses.map((clause) => {
    const math = mathElement("math", ...new Typesetter(clause).row());
    math.setAttribute("aria-hidden", "true");
    math.setAttribute("displaystyle", "true");
    return element("span", { class: "typeset" }, element("span", { class: "slash" }, pretty(clause)), math);
  });
}
