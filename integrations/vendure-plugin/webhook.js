'use strict';

const { createHmac } = require('node:crypto');

const PREFIX = 'whsec_';
const SECONDS = 15;

/**
 * The key of a secret as Standard Webhooks writes it: `whsec_` and Base64.
 *
 * @param {string} secret
 * @returns {Buffer}
 */
function keyOf(secret) {
    const text = String(secret ?? '').replace(PREFIX, '');
    const key = Buffer.from(text, 'base64');
    if (key.length < 24 || key.toString('base64').replace(/=+$/, '') !== text.replace(/=+$/, '')) {
        throw new Error('LicentiaPlugin: `secret` is not `whsec_` and the Base64 of 24 bytes or more');
    }
    return key;
}

/**
 * The headers of a message, signed now (Standard Webhooks 1.0).
 *
 * @param {Buffer} key
 * @param {string} id the same for each attempt
 * @param {string} body as it is sent
 * @param {Date} now
 */
function signed(key, id, body, now = new Date()) {
    const timestamp = Math.floor(now.getTime() / 1000);
    const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
    return { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': `v1,${signature}` };
}

/**
 * Send a message once; throws, without any secret in the words, unless the answer says that it was kept.
 *
 * @param {string} url
 * @param {Buffer} key
 * @param {string} id
 * @param {object} message
 */
async function post(url, key, id, message) {
    const body = JSON.stringify(message);
    const answer = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...signed(key, id, body) },
        body,
        redirect: 'manual',
        signal: AbortSignal.timeout(SECONDS * 1000),
    });
    await answer.body?.cancel();
    if (!answer.ok) {
        throw new Error(`Licentia answered with status ${answer.status}`);
    }
}

module.exports = { keyOf, signed, post };
