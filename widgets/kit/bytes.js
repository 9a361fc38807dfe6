// @ts-check
// Reads what `interplm_nb/widgets/packing.py` writes.

/**
 * @typedef {Float32Array | Float64Array | Int32Array | Uint32Array | Uint16Array | Uint8Array}
 *   Numbers
 */
/** @typedef {{ record: any, arrays: Record<string, any> }} Packed */

/** @type {Record<string, any>} */
const KINDS = {
  f4: Float32Array,
  f8: Float64Array,
  i4: Int32Array,
  u4: Uint32Array,
  u2: Uint16Array,
  u1: Uint8Array,
};

/**
 * A copy of the bytes of a trait. Copied, because a typed array must start at a multiple of its
 * size and a websocket frame need not.
 * @param {DataView} view
 * @returns {Uint8Array}
 */
export function bytesOf(view) {
  return new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

/**
 * @param {Uint8Array} bytes
 * @returns {Promise<Uint8Array>}
 */
export async function gunzip(bytes) {
  const stream = new Blob([/** @type {any} */ (bytes)])
    .stream()
    .pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * The record and the arrays in a packed trait, gzipped or not.
 * @param {DataView} view
 * @returns {Promise<Packed>}
 */
export async function unpack(view) {
  const bytes = bytesOf(view);
  return read(bytes[0] === 0x1f && bytes[1] === 0x8b ? await gunzip(bytes) : bytes);
}

/**
 * @param {Uint8Array} bytes not gzipped, starting at offset 0 of its buffer
 * @returns {Packed}
 */
export function read(bytes) {
  const start = 4 + new DataView(bytes.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, start)));
  /** @type {Record<string, any>} */
  const arrays = {};
  for (const [name, { dtype, length, offset }] of Object.entries(header.arrays)) {
    arrays[name] = new KINDS[dtype](bytes.buffer, start + offset, length);
  }
  return { record: header.record, arrays };
}
