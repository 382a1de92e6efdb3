// The service that everybody writes with sharp: node:http, a picture as the body. node sharp.mjs PORT WIDTH HEIGHT QUALITY
import { createServer } from "node:http";
import sharp from "sharp";

const [port, width, height, quality] = process.argv.slice(2).map(Number);

createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  let image = sharp(Buffer.concat(parts)).rotate();
  image = image.resize(width, height, { fit: "inside", withoutEnlargement: true });
  if (request.url.includes("grey=1")) image = image.grayscale();
  response.setHeader("Content-Type", "image/jpeg");
  response.end(await image.jpeg({ quality }).toBuffer());
}).listen(port, "127.0.0.1");
