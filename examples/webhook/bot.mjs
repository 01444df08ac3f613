// A bot in JavaScript, for Node 18 and newer, without packages:
//
//     WEBHOOK_SECRET=… PORT=8080 node bot.mjs
//
// and in the relay's configuration
//
//     [bots]
//     webhook = "http://127.0.0.1:8080/"
//     webhook_secret = "…"

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const SECRET = process.env.WEBHOOK_SECRET;
const PORT = Number(process.env.PORT ?? 8080);
const OLDEST = 300; // seconds
const LONGEST = 1 << 20; // bytes

const answers = new Map(); // by Idempotency-Key: a message that comes again is not handled again

function isGenuine(request, body) {
  const timestamp = request.headers["x-relay-timestamp"] ?? "";
  const signature = Buffer.from(request.headers["x-relay-signature"] ?? "");
  const wanted = Buffer.from(
    "sha256=" + createHmac("sha256", SECRET).update(timestamp + ".").update(body).digest("hex"),
  );
  const fresh = Math.abs(Date.now() / 1000 - Number(timestamp)) <= OLDEST;
  return fresh && signature.length === wanted.length && timingSafeEqual(signature, wanted);
}

function answer(message) {
  const [command, ...words] = message.text.split(" ");
  switch (command) {
    case "!add":
      return String(words.map(Number).reduce((sum, number) => sum + number, 0));
    case "!cat":
      return [
        `One moment, ${message.sender} …`,
        { media: "image", url: "https://example.org/cat.jpg", wait_ms: 5000 },
      ];
    default:
      return null; // nothing to say
  }
}

createServer(async (request, response) => {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > LONGEST) return request.destroy();
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  if (request.method !== "POST" || !isGenuine(request, body)) {
    response.writeHead(401).end();
    return;
  }
  const key = request.headers["idempotency-key"];
  if (!answers.has(key)) {
    answers.set(key, JSON.stringify(answer(JSON.parse(body))));
    if (answers.size > 10_000) answers.delete(answers.keys().next().value);
  }
  response.writeHead(200, { "Content-Type": "application/json" }).end(answers.get(key));
}).listen(PORT, "127.0.0.1", () => console.log(`listening on ${PORT}`));
