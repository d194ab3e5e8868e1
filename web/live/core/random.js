/**
 * The Mersenne Twister, with torch's ways of drawing from it: the same seed gives the same numbers as
 * `torch.Generator().manual_seed(seed)` on a CPU in double precision.
 */
export class Generator {
  constructor(/** @type {number} */ seed) {
    if (!Number.isSafeInteger(seed) || seed < 0) throw new RangeError(`seed: expected a whole number from 0, got ${seed}`);
    this.state = new Uint32Array(624);
    this.state[0] = seed % 2 ** 32;
    for (let i = 1; i < 624; i++) {
      const before = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
      this.state[i] = Math.imul(before, 1812433253) + i;
    }
    this.at = 624;
  }

  /** 32 random bits, as a whole number. */
  bits() {
    if (this.at === 624) this.refill();
    let y = this.state[this.at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  refill() {
    const s = this.state;
    for (let i = 0; i < 624; i++) {
      const y = (s[i] & 0x80000000) | (s[(i + 1) % 624] & 0x7fffffff);
      s[i] = s[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.at = 0;
  }

  /** A number from 0 up to, and without, 1: torch.rand((), dtype=torch.float64). */
  uniform() {
    const high = this.bits() & 0x1fffff; // 53 of 64 bits
    return (high * 2 ** 32 + this.bits()) * 2 ** -53;
  }

  /** Standard normal numbers: torch.randn(many, dtype=torch.float64). */
  normal(/** @type {number} */ many) {
    const out = new Float64Array(many);
    if (many < 16) {
      for (let i = 0; i < many; i += 2) {
        const angle = 2 * Math.PI * this.uniform();
        const radius = Math.sqrt(-2 * Math.log1p(-this.uniform()));
        out[i] = radius * Math.cos(angle);
        if (i + 1 < many) out[i + 1] = radius * Math.sin(angle);
      }
      return out;
    }
    for (let i = 0; i < many; i++) out[i] = this.uniform();
    for (let start = 0; start + 16 <= many; start += 16) pairUp(out, start);
    if (many % 16) {
      // the last sixteen once more, from new numbers
      for (let i = many - 16; i < many; i++) out[i] = this.uniform();
      pairUp(out, many - 16);
    }
    return out;
  }
}

/** Box and Muller's way, number i with number i + 8. */
function pairUp(/** @type {Float64Array} */ out, /** @type {number} */ start) {
  for (let i = start; i < start + 8; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - out[i]));
    const angle = 2 * Math.PI * out[i + 8];
    out[i] = radius * Math.cos(angle);
    out[i + 8] = radius * Math.sin(angle);
  }
}
