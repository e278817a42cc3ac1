// The built-in page in a real browser: a new user's first minutes.
//
// Elements are found by role and label, as people find them. `CHATFLOW` names the program.
'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { chromium } = require('playwright-core');

let server, browser, url, key, data;

before(async () => {
  data = fs.mkdtempSync(path.join(os.tmpdir(), 'chatflow-e2e-'));
  const args = ['serve', '--data', data, '--listen', '127.0.0.1:0', '--demo', '--json'];
  server = spawn(process.env.CHATFLOW, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const line = await new Promise((resolve, reject) => {
    server.stdout.once('data', (bytes) => resolve(String(bytes)));
    server.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
  const ready = JSON.parse(line);
  url = ready.url;
  key = fs.readFileSync(ready.api_key_file, 'utf8').trim();
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
});

after(async () => {
  await browser?.close();
  if (server) {
    const ended = new Promise((resolve) => server.once('exit', resolve));
    server.kill('SIGTERM');
    await ended;
  }
  fs.rmSync(data, { recursive: true, force: true });
});

async function open(width, locale) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, locale });
  const page = await context.newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:')) {
      problems.push(`a request to elsewhere: ${request.url()}`);
    }
  });
  await page.goto(`${url}/#key=${key}`);
  return { page, problems, context };
}

async function say(contact, text) {
  const answer = await fetch(`${url}/webhooks/demo`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ contact: { id: contact, name: contact, lang: 'zh-TW' }, text }),
  });
  assert.equal(answer.status, 200);
}

for (const [width, locale] of [[1440, 'en'], [390, 'zh-TW']]) {
  test(`a task appears live and shows its conversation (${width} px, ${locale})`, async () => {
    const { page, problems, context } = await open(width, locale);
    await page.locator('#list-title').waitFor();
    assert.ok(!page.url().includes(key), 'the key leaves the address bar');
    const contact = `mei-${width}`;
    await say(contact, '請假');
    const item = page.locator('#tasks li', { hasText: contact }).first();
    await item.waitFor();
    await item.getByRole('link').first().click();
    await page.locator('#talk').getByText('請假', { exact: true }).waitFor();
    await page.locator('#path').getByText('ask_start').first().waitFor();
    // What happens next shows without a reload.
    await say(contact, '明天');
    await page.locator('#talk').getByText('明天', { exact: true }).waitFor();
    await page.locator('#path').getByText('ask_days').first().waitFor();
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= width, `nothing is wider than the window: ${wide}`);
    if (process.env.SCREENSHOTS) {
      await page.screenshot({ path: path.join(process.env.SCREENSHOTS, `task-${width}.png`) });
    }
    assert.deepEqual(problems, []);
    await context.close();
  });
}

test('anybody can chat with a flow without an account', async () => {
  const { page, problems, context } = await open(1440, 'en');
  // On a wide window the chat stands beside the list.
  await page.locator('#chat-text').fill('leave');
  await page.locator('#chat-text').press('Enter');
  await page.locator('#chat li').nth(1).waitFor();
  await page.locator('#chat-text').fill('tomorrow');
  await page.locator('#chat-text').press('Enter');
  await page.locator('#chat').getByRole('button').first().click();
  await page.locator('#chat li').nth(5).waitFor();
  assert.deepEqual(problems, []);
  await context.close();
});

test('a wrong key is asked for again, in words', async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${url}/#key=cf_wrong_key`);
  await page.locator('#key-dialog').waitFor({ state: 'visible' });
  await page.locator('#key-input').fill(key);
  await page.locator('#key-input').press('Enter');
  await page.locator('#key-dialog').waitFor({ state: 'hidden' });
  await context.close();
});
