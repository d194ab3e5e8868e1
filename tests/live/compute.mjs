// Answers calls of the modules' functions, as JSON: the Python tests compare the answers with torch.
import { readFileSync } from "node:fs";

const { root, calls } = JSON.parse(readFileSync(0, "utf8"));

function revive(value) {
  if (Array.isArray(value)) return value.every((x) => typeof x === "number") && value.length ? Float64Array.from(value) : value.map(revive);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, revive(v)]));
  return value;
}

function plain(value) {
  if (ArrayBuffer.isView(value)) return Array.from(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
  return value;
}

const answers = [];
for (const { module, name, make, args } of calls) {
  const found = await import(`${root}/${module}`);
  const owner = make ? new found[make[0]](...make[1]) : found;
  answers.push(plain(owner[name](...args.map(revive))));
}
process.stdout.write(JSON.stringify(answers));
