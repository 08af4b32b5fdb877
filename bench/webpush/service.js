// Two push services and their browsers, for `make drill-webpush`: nothing here is of what sends.
//
// usage: node service.js FOLDER-OF-NODE-MODULES PUBLIC-KEY BROWSERS
//
// Keys are made, signatures checked (RFC 8292) by node itself, and bodies read by http_ece (RFC 8188, RFC 8291).
// Says one line of JSON first, with the subscriptions, and then one for each request.
'use strict';
const crypto = require('node:crypto');
const http = require('node:http');
const path = require('node:path');
const { createRequire } = require('node:module');

const [folder, publicKey, browserCount] = process.argv.slice(2);
const ece = createRequire(path.join(path.resolve(folder), 'any.js'))('http_ece');
const A_DAY_S = 24 * 3600;
const browsers = new Map();

function say(what) {
  process.stdout.write(JSON.stringify(what) + '\n');
}

function subscribe(origin, number) {
  const key = crypto.createECDH('prime256v1');
  const browser = { key, auth: crypto.randomBytes(16) };
  const where = `/push/${crypto.randomUUID()}`;
  browsers.set(origin + where, browser);
  return {
    number,
    endpoint: origin + where,
    p256dh: key.generateKeys('base64url'),
    auth: browser.auth.toString('base64url'),
  };
}

function claimsOf(authorization) {
  const given = Object.fromEntries(authorization.replace(/^vapid /, '').split(',').map((one) => one.trim().split('=')));
  if (given.k !== publicKey) throw new Error('signed by somebody else');
  const point = Buffer.from(given.k, 'base64url');
  const key = crypto.createPublicKey({
    format: 'jwk',
    key: {
      kty: 'EC',
      crv: 'P-256',
      x: point.subarray(1, 33).toString('base64url'),
      y: point.subarray(33).toString('base64url'),
    },
  });
  const [head, claims, signature] = given.t.split('.');
  const isRight = crypto.verify(
    'sha256',
    Buffer.from(`${head}.${claims}`),
    { key, dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url'),
  );
  if (!isRight) throw new Error('the signature is wrong');
  return JSON.parse(Buffer.from(claims, 'base64url'));
}

function take(origin, request, body) {
  const claims = claimsOf(request.headers.authorization);
  if (claims.aud !== origin) throw new Error(`signed for ${claims.aud}`);
  const left = claims.exp - Date.now() / 1000;
  if (!(left > 0 && left <= A_DAY_S)) throw new Error(`the signature is good for ${left} s`);
  if (request.headers['content-encoding'] !== 'aes128gcm') throw new Error('another encoding');
  const { key, auth } = browsers.get(origin + request.url);
  return ece.decrypt(body, { version: 'aes128gcm', privateKey: key, authSecret: auth }).toString('utf8');
}

function listen() {
  return new Promise((resolve) => {
    let origin;
    const server = http.createServer((request, response) => {
      const parts = [];
      request.on('data', (part) => parts.push(part));
      request.on('end', () => {
        const told = { endpoint: origin + request.url };
        try {
          told.text = take(origin, request, Buffer.concat(parts));
          response.statusCode = 201;
        } catch (error) {
          told.refused = String(error.message || error);
          response.statusCode = 400;
        }
        say(told);
        response.end();
      });
    });
    server.listen(0, '127.0.0.1', () => {
      origin = `http://127.0.0.1:${server.address().port}`;
      resolve(origin);
    });
  });
}

async function main() {
  const origins = [await listen(), await listen()];
  const numbers = Array.from({ length: Number(browserCount) }, (_, number) => number);
  say({ origins, subscriptions: numbers.map((number) => subscribe(origins[number % 2], number)) });
}

main();
