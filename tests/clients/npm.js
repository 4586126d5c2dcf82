// Calls through the npm package aliyun-api-gateway: npm.js URL KEY SECRET SCENARIO. With the scenario `app-code` the
// secret is an AppCode.
'use strict';

const { Client, SimpleClient } = require('aliyun-api-gateway');

const [url, key, secret, scenario] = process.argv.slice(2);
const client = scenario === 'app-code' ? new SimpleClient(secret) : new Client(key, secret);

const calls = {
  get: () => client.get(`${url}/echo`, { query: { b: '2', a: '1 +名', e: '' }, timeout: 20000 }),
  form: () => client.post(`${url}/post?q=1`, {
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    data: { name: '名 字', a: '1' },
    timeout: 20000,
  }),
  json: () => client.post(`${url}/post`, { data: { x: 1, name: '名' }, timeout: 20000 }),
  'app-code': () => client.get(`${url}/echo`, { query: { a: '1' }, timeout: 20000 }),
};

calls[scenario]().then(
  (body) => console.log(JSON.stringify({ status: 200, code: '', body: JSON.stringify(body) })),
  (error) => {
    if (!error.data) throw error;
    console.log(JSON.stringify({ status: error.code, code: error.data.headers['x-ca-error-code'] || '', body: '' }));
  },
);
