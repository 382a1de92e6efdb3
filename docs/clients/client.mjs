// A client of the image service for Node, with nothing installed:
//
//   node client.mjs http http://127.0.0.1:8080 in.jpg out.jpg
//   node client.mjs grpc http://127.0.0.1:50051 in.jpg out.jpg
//
// The second speaks gRPC by hand, as service/proto/imagescaler.proto says: ScaleImageRequest.image is field 1,
// Image.content is field 1, ScaleImageReply.content is field 1.
import { readFile, writeFile } from "node:fs/promises";
import http2 from "node:http2";

const [kind, url, from, to] = process.argv.slice(2);
const image = await readFile(from);
await writeFile(to, kind === "grpc" ? await overGrpc(url, image) : await overHttp(url, image));

async function overHttp(url, image) {
  const answer = await fetch(url, { method: "POST", body: image });
  const body = Buffer.from(await answer.arrayBuffer());
  if (!answer.ok) throw new Error(`${answer.status}: ${JSON.parse(body).detail}`);
  return body;
}

async function overGrpc(url, image) {
  const session = http2.connect(url);
  try {
    return unframed(await call(session, "/imagescaler.ImageScaler/ScaleImage", framed(field(1, field(1, image)))));
  } finally {
    session.close();
  }
}

function call(session, path, body) {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    const parts = [];
    const failed = (headers) => {
      if (headers["grpc-status"] && headers["grpc-status"] !== "0")
        reject(new Error(`${headers["imgflow-code"]}: ${decodeURIComponent(headers["grpc-message"] ?? "")}`));
    };
    session.on("error", reject);
    stream.on("error", reject);
    stream.on("response", failed);
    stream.on("trailers", failed);
    stream.on("data", (part) => parts.push(part));
    stream.on("end", () => resolve(Buffer.concat(parts)));
    stream.end(body);
  });
}

/** A field of bytes: its number and wire type 2, its length, itself. */
function field(number, bytes) {
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint(bytes.length), bytes]);
}

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}

/** A message as gRPC sends it: not compressed, its length in four bytes, itself. */
function framed(message) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** The bytes of field 1 of the one message. */
function unframed(body) {
  let at = 6;
  let length = 0;
  for (let shift = 1; ; shift *= 128) {
    const byte = body[at++];
    length += (byte & 127) * shift;
    if (byte < 128) break;
  }
  return body.subarray(at, at + length);
}
