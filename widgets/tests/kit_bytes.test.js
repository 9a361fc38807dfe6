import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesOf, read, unpack } from "../kit/bytes.js";

// Of `packing.pack`: {"name": "é <b>"} and f, u, b, none, i below; tests/widgets/test_packing.py
// has random ones.
const PLAIN =
  "040100007b227265636f7264223a7b226e616d65223a225c7530306539203c623e227d2c22617272617973223a7b" +
  "2266223a7b226474797065223a226634222c226c656e677468223a332c226f6666736574223a307d2c2275223a7b" +
  "226474797065223a227532222c226c656e677468223a332c226f6666736574223a31367d2c2262223a7b22647479" +
  "7065223a227531222c226c656e677468223a312c226f6666736574223a32347d2c226e6f6e65223a7b2264747970" +
  "65223a226638222c226c656e677468223a302c226f6666736574223a33327d2c2269223a7b226474797065223a22" +
  "6934222c226c656e677468223a312c226f6666736574223a33327d7d7d20202020200000003f0000c0bf0000c07f" +
  "0000000001000200ffff00000700000000000000ffffffff00000000";
const ZIPPED =
  "1f8b08000000000000036dcdcd0ac2300c07f0ff44f03546ce3b741f8816d117f1b2b95607ae936e3b8c317c347d" +
  "b3dae2611d2c9092905fd26d008ca4c5add125f191545e0be274ed1913c7f0549c698a28d73a1f5a3796ee29bbe1" +
  "e590cc28a2a750f7ee413c8da891b2151d7166577a1ff6c93a8cf756160b197b329e659259a91a2516ff1f3ccc66" +
  "9c261657beacb2f5b3564e53e802c005f87e6cbe6d8d001b1803ecf00f635c07fc001d0a294b30010000";

/** @param {string} hex @param {number} [before] bytes in front, as in a websocket frame */
function viewOf(hex, before = 0) {
  const bytes = Uint8Array.from([...new Array(before).fill(9), ...Buffer.from(hex, "hex"), 9, 9]);
  return new DataView(bytes.buffer, before, hex.length / 2);
}

/** @param {import("../kit/bytes.js").Packed} packed */
function check({ record, arrays }) {
  assert.deepEqual(record, { name: "é <b>" });
  assert.deepEqual(arrays, {
    f: Float32Array.of(0.5, -1.5, NaN),
    u: Uint16Array.of(1, 2, 65535),
    b: Uint8Array.of(7),
    none: new Float64Array(0),
    i: Int32Array.of(-1),
  });
}

test("what Python packs is read, gzipped or not, wherever it starts", async () => {
  for (const hex of [PLAIN, ZIPPED])
    for (const before of [0, 1, 4, 7]) check(await unpack(viewOf(hex, before)));
});

test("the copy is of the trait's bytes alone", () => {
  const bytes = bytesOf(viewOf(PLAIN, 3));
  assert.equal(bytes.byteLength, PLAIN.length / 2);
  assert.equal(bytes.buffer.byteLength, PLAIN.length / 2);
  check(read(bytes));
});
