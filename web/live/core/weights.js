/**
 * Weights as the library ships them: safetensors, checked before anything is read.
 *
 * @typedef {{shape: number[], data: Float32Array}} Tensor
 */

/** The bytes of a base64 text. @returns {Uint8Array} */
export function fromBase64(/** @type {string} */ text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

/** The checksum of zip and PNG, as Python's zlib.crc32 gives it. */
export function crc32(/** @type {Uint8Array} */ bytes) {
  const table = new Uint32Array(256).map((_, n) => {
    for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    return n;
  });
  let crc = ~0;
  for (const byte of bytes) crc = table[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** The number that sixteen bits stand for in half precision. */
export function fromHalf(/** @type {number} */ bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const READERS = {
  F32: { size: 4, read: (/** @type {DataView} */ view, /** @type {number} */ at) => view.getFloat32(at, true) },
  F16: { size: 2, read: (/** @type {DataView} */ view, /** @type {number} */ at) => fromHalf(view.getUint16(at, true)) },
};

/**
 * The tensors of a safetensors file by name.
 * @returns {Record<string, Tensor>}
 * @throws {RangeError} a file that was cut short or is none
 */
export function readSafetensors(/** @type {Uint8Array} */ bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerSize = bytes.length < 8 ? Infinity : Number(view.getBigUint64(0, true));
  if (8 + headerSize > bytes.length) throw new RangeError(`the file of weights was cut short: it has ${bytes.length} bytes`);
  /** @type {Record<string, {dtype: string, shape: number[], data_offsets: [number, number]}>} */
  let header;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerSize)));
  } catch {
    throw new RangeError("the file of weights has no readable table of contents");
  }
  /** @type {Record<string, Tensor>} */
  const tensors = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const reader = READERS[entry.dtype];
    if (!reader) throw new RangeError(`${name}: expected F32 or F16, got ${entry.dtype}`);
    const many = entry.shape.reduce((a, b) => a * b, 1);
    const [start, end] = entry.data_offsets.map((offset) => 8 + headerSize + offset);
    if (end - start !== many * reader.size || end > bytes.length)
      throw new RangeError(`the file of weights was cut short: ${name} is not whole`);
    const data = new Float32Array(many);
    for (let i = 0; i < many; i++) data[i] = reader.read(view, start + i * reader.size);
    tensors[name] = { shape: entry.shape, data };
  }
  return tensors;
}
