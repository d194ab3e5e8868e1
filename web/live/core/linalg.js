/**
 * Small dense matrices: products, a QR factor, singular values, eigenvalues. Meant for at most 64 rows.
 *
 * @typedef {{rows: number, cols: number, data: Float64Array | Float32Array}} Matrix  row after row
 * @typedef {Float64Array | Float32Array | number[]} Vector
 * @typedef {{re: number, im: number}} Complex
 */

/** A matrix of zeros, or of the given numbers, row after row. @returns {Matrix} */
export function matrix(/** @type {number} */ rows, /** @type {number} */ cols, /** @type {Vector=} */ values) {
  if (values && values.length !== rows * cols)
    throw new RangeError(`values: expected ${rows} × ${cols} = ${rows * cols} numbers, got ${values.length}`);
  return { rows, cols, data: values ? Float64Array.from(values) : new Float64Array(rows * cols) };
}

/** The identity times a number. @returns {Matrix} */
export function identity(/** @type {number} */ size, scale = 1) {
  const I = matrix(size, size);
  for (let i = 0; i < size; i++) I.data[i * size + i] = scale;
  return I;
}

/** W x. @returns {Float64Array} */
export function apply(/** @type {Matrix} */ W, /** @type {Vector} */ x) {
  const { rows, cols, data } = W;
  if (x.length !== cols) throw new RangeError(`x: expected ${cols} numbers, got ${x.length}`);
  const y = new Float64Array(rows);
  for (let i = 0, at = 0; i < rows; i++) {
    let sum = 0;
    for (let j = 0; j < cols; j++) sum += data[at++] * x[j];
    y[i] = sum;
  }
  return y;
}

/** Wᵀ y, without writing the transpose. @returns {Float64Array} */
export function applyTransposed(/** @type {Matrix} */ W, /** @type {Vector} */ y) {
  const { rows, cols, data } = W;
  if (y.length !== rows) throw new RangeError(`y: expected ${rows} numbers, got ${y.length}`);
  const x = new Float64Array(cols);
  for (let i = 0, at = 0; i < rows; i++) for (let j = 0; j < cols; j++) x[j] += data[at++] * y[i];
  return x;
}

/** Column j of W. @returns {Float64Array} */
export function column(/** @type {Matrix} */ W, /** @type {number} */ j) {
  return Float64Array.from({ length: W.rows }, (_, i) => W.data[i * W.cols + j]);
}

/** A B. @returns {Matrix} */
export function multiply(/** @type {Matrix} */ A, /** @type {Matrix} */ B) {
  if (A.cols !== B.rows) throw new RangeError(`B: expected ${A.cols} rows, got ${B.rows}`);
  const C = matrix(A.rows, B.cols);
  for (let i = 0; i < A.rows; i++)
    for (let k = 0; k < A.cols; k++) {
      const a = A.data[i * A.cols + k];
      if (a) for (let j = 0; j < B.cols; j++) C.data[i * B.cols + j] += a * B.data[k * B.cols + j];
    }
  return C;
}

/** Aᵀ. @returns {Matrix} */
export function transpose(/** @type {Matrix} */ A) {
  const B = matrix(A.cols, A.rows);
  for (let i = 0; i < A.rows; i++)
    for (let j = 0; j < A.cols; j++) B.data[j * A.rows + i] = A.data[i * A.cols + j];
  return B;
}

/** diag(d) A. @returns {Matrix} */
export function scaleRows(/** @type {Vector} */ d, /** @type {Matrix} */ A) {
  const B = matrix(A.rows, A.cols, A.data);
  for (let i = 0, at = 0; i < A.rows; i++) for (let j = 0; j < A.cols; j++) B.data[at++] *= d[i];
  return B;
}

/** The outer product a bᵀ. @returns {Matrix} */
export function outer(/** @type {Vector} */ a, /** @type {Vector} */ b) {
  const C = matrix(a.length, b.length);
  for (let i = 0, at = 0; i < a.length; i++) for (let j = 0; j < b.length; j++) C.data[at++] = a[i] * b[j];
  return C;
}

/** The sum of two vectors. @returns {Float64Array} */
export function add(/** @type {Vector} */ a, /** @type {Vector} */ b) {
  return Float64Array.from(a, (value, i) => value + b[i]);
}

export function dot(/** @type {Vector} */ a, /** @type {Vector} */ b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

export function norm(/** @type {Vector} */ a) {
  return Math.sqrt(dot(a, a));
}

/**
 * The orthogonal factor Q of A = Q R with a positive diagonal of R, which makes it the only one.
 * Gram and Schmidt's way, each column cleaned twice, which holds orthogonality to rounding.
 * @returns {Matrix}
 */
export function orthogonal(/** @type {Matrix} */ A) {
  const columns = Array.from({ length: A.cols }, (_, j) => column(A, j));
  for (let j = 0; j < columns.length; j++) {
    for (let pass = 0; pass < 2; pass++)
      for (let k = 0; k < j; k++) {
        const share = dot(columns[k], columns[j]);
        for (let i = 0; i < A.rows; i++) columns[j][i] -= share * columns[k][i];
      }
    const length = norm(columns[j]);
    if (!(length > 1e-12)) throw new RangeError("A: expected columns that no other columns add up to");
    for (let i = 0; i < A.rows; i++) columns[j][i] /= length;
  }
  const Q = matrix(A.rows, A.cols);
  for (let i = 0; i < A.rows; i++) for (let j = 0; j < A.cols; j++) Q.data[i * A.cols + j] = columns[j][i];
  return Q;
}

/**
 * Singular values, largest first, by one-sided Jacobi rotations: pairs of columns are turned until all are orthogonal;
 * their lengths are what is asked for, small ones as exact, relative to themselves, as large ones.
 * @returns {Float64Array}
 */
export function singularValues(/** @type {Matrix} */ A) {
  const { rows, cols } = A;
  const U = transpose(A).data; // column j of A lies in one piece
  for (let sweep = 0, turned = true; turned && sweep < 40; sweep++) {
    turned = false;
    for (let p = 0; p < cols - 1; p++)
      for (let q = p + 1; q < cols; q++) {
        const P = p * rows;
        const Q = q * rows;
        let alpha = 0;
        let beta = 0;
        let gamma = 0;
        for (let i = 0; i < rows; i++) {
          const u = U[P + i];
          const v = U[Q + i];
          alpha += u * u;
          beta += v * v;
          gamma += u * v;
        }
        if (Math.abs(gamma) <= 1e-11 * Math.sqrt(alpha * beta) || alpha * beta === 0) continue;
        turned = true;
        const zeta = (beta - alpha) / (2 * gamma);
        const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
        const c = 1 / Math.sqrt(1 + t * t);
        const s = c * t;
        for (let i = 0; i < rows; i++) {
          const u = U[P + i];
          const v = U[Q + i];
          U[P + i] = c * u - s * v;
          U[Q + i] = s * u + c * v;
        }
      }
  }
  const lengths = Array.from({ length: cols }, (_, j) => norm(U.subarray(j * rows, (j + 1) * rows)));
  return Float64Array.from(lengths.sort((a, b) => b - a));
}

/** The spectral norm: the largest singular value. Scaled first, so that squares neither overflow nor vanish. */
export function spectralNorm(/** @type {Matrix} */ A) {
  let largest = 0;
  for (const value of A.data) largest = Math.max(largest, Math.abs(value));
  if (!(largest > 0 && largest < Infinity)) return largest;
  return largest * singularValues(matrix(A.rows, A.cols, Array.from(A.data, (value) => value / largest)))[0];
}

/** A similar matrix with zeros below its first subdiagonal. @returns {Float64Array[]} */
function hessenberg(/** @type {Matrix} */ A) {
  const n = A.rows;
  const H = Array.from({ length: n }, (_, i) => Float64Array.from(A.data.subarray(i * n, (i + 1) * n)));
  for (let k = 1; k < n - 1; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) if (Math.abs(H[i][k - 1]) > Math.abs(H[pivot][k - 1])) pivot = i;
    if (H[pivot][k - 1] === 0) continue;
    if (pivot !== k) {
      [H[pivot], H[k]] = [H[k], H[pivot]];
      for (const row of H) [row[pivot], row[k]] = [row[k], row[pivot]];
    }
    for (let i = k + 1; i < n; i++) {
      const factor = H[i][k - 1] / H[k][k - 1];
      if (factor === 0) continue;
      for (let j = k - 1; j < n; j++) H[i][j] -= factor * H[k][j];
      for (let j = 0; j < n; j++) H[j][k] += factor * H[j][i];
    }
  }
  return H;
}

/**
 * Eigenvalues of a real square matrix, by the shifted QR iteration on a Hessenberg matrix, in complex numbers.
 * @returns {Complex[]} largest absolute value first
 */
export function eigenvalues(/** @type {Matrix} */ A) {
  const n = A.rows;
  if (A.cols !== n) throw new RangeError(`A: expected a square matrix, got ${A.rows} × ${A.cols}`);
  const re = hessenberg(A);
  const im = re.map((row) => new Float64Array(row.length));
  /** @type {Complex[]} */
  const found = [];
  let end = n - 1;
  for (let turns = 0; end >= 0; ) {
    let start = end;
    for (; start > 0; start--) {
      const near = Math.hypot(re[start - 1][start - 1], im[start - 1][start - 1]) + Math.hypot(re[start][start], im[start][start]);
      const below = Math.hypot(re[start][start - 1], im[start][start - 1]);
      if (below === 0 || below < 2.3e-16 * near) break;
    }
    if (start === end) {
      found.push({ re: re[end][end], im: im[end][end] });
      end--;
      turns = 0;
      continue;
    }
    if (turns++ > 200) throw new RangeError("A: its eigenvalues were not found in 200 turns");
    const shift = turns % 11 === 10 ? { re: Math.abs(re[end][end - 1]), im: 0 } : nearestShift(re, im, end);
    turn(re, im, start, end, shift);
  }
  return found.sort((a, b) => Math.hypot(b.re, b.im) - Math.hypot(a.re, a.im) || b.re - a.re || b.im - a.im);
}

/** Of the last two-by-two block's eigenvalues, the one next to its last entry. @returns {Complex} */
function nearestShift(/** @type {Float64Array[]} */ re, /** @type {Float64Array[]} */ im, /** @type {number} */ k) {
  const half = { re: (re[k - 1][k - 1] - re[k][k]) / 2, im: (im[k - 1][k - 1] - im[k][k]) / 2 };
  const bc = times({ re: re[k - 1][k], im: im[k - 1][k] }, { re: re[k][k - 1], im: im[k][k - 1] });
  const square = times(half, half);
  const root = squareRoot({ re: square.re + bc.re, im: square.im + bc.im });
  const sign = half.re * root.re + half.im * root.im < 0 ? -1 : 1; // the larger denominator: the nearer eigenvalue
  const below = { re: half.re + sign * root.re, im: half.im + sign * root.im };
  const size = below.re ** 2 + below.im ** 2;
  if (size === 0) return { re: re[k][k] , im: im[k][k] };
  const step = times(bc, { re: below.re / size, im: -below.im / size });
  return { re: re[k][k] - step.re, im: im[k][k] - step.im };
}

/** @returns {Complex} */
function times(/** @type {Complex} */ a, /** @type {Complex} */ b) {
  return { re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re };
}

/** @returns {Complex} */
function squareRoot(/** @type {Complex} */ a) {
  const size = Math.hypot(a.re, a.im);
  const re = Math.sqrt((size + Math.abs(a.re)) / 2);
  if (re === 0) return { re: 0, im: 0 };
  return a.re >= 0 ? { re, im: a.im / (2 * re) } : { re: Math.abs(a.im) / (2 * re), im: a.im < 0 ? -re : re };
}

/** One step H → R Q + shift on the rows and columns from `start` to `end`, by complex Givens rotations. */
function turn(re, im, start, end, shift) {
  for (let i = start; i <= end; i++) {
    re[i][i] -= shift.re;
    im[i][i] -= shift.im;
  }
  const rotations = [];
  for (let k = start; k < end; k++) {
    const size = Math.hypot(re[k][k], im[k][k], re[k + 1][k], im[k + 1][k]);
    const c = size ? { re: re[k][k] / size, im: im[k][k] / size } : { re: 1, im: 0 };
    const s = size ? { re: re[k + 1][k] / size, im: im[k + 1][k] / size } : { re: 0, im: 0 };
    rotations.push([c, s]);
    for (let j = k; j <= end; j++) {
      const [ar, ai, br, bi] = [re[k][j], im[k][j], re[k + 1][j], im[k + 1][j]];
      re[k][j] = c.re * ar + c.im * ai + s.re * br + s.im * bi;
      im[k][j] = c.re * ai - c.im * ar + s.re * bi - s.im * br;
      re[k + 1][j] = -s.re * ar + s.im * ai + c.re * br - c.im * bi;
      im[k + 1][j] = -s.re * ai - s.im * ar + c.re * bi + c.im * br;
    }
  }
  rotations.forEach(([c, s], index) => {
    const k = start + index;
    for (let i = start; i <= Math.min(k + 1, end); i++) {
      const [ar, ai, br, bi] = [re[i][k], im[i][k], re[i][k + 1], im[i][k + 1]];
      re[i][k] = ar * c.re - ai * c.im + br * s.re - bi * s.im;
      im[i][k] = ar * c.im + ai * c.re + br * s.im + bi * s.re;
      re[i][k + 1] = -(ar * s.re + ai * s.im) + br * c.re + bi * c.im;
      im[i][k + 1] = -(ai * s.re - ar * s.im) + bi * c.re - br * c.im;
    }
  });
  for (let i = start; i <= end; i++) {
    re[i][i] += shift.re;
    im[i][i] += shift.im;
  }
}
