import assert from "node:assert/strict";
import { test } from "node:test";
import { activationWords, rangeWords } from "../kit/words.js";

test("an activation that is not known is not 0", () => {
  assert.deepEqual([0, 0.126, NaN, null].map(activationWords), [
    "activation 0.00",
    "activation 0.13",
    "activation unknown",
    "activation unknown",
  ]);
});

test("a brush is said by both ends", () => {
  assert.equal(rangeWords([0.5, 1]), "0.50 to 1.00");
});
