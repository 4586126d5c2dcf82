-- What people write into nginx today to check who calls: an app's signature (HMAC-SHA256 over the request) or its AppCode, and a
-- counter of its calls in memory that workers share. The work of OpenSSL is called directly, the app is a table's entry, and the
-- lines that are signed are joined once. No nonces are kept. Placeholders: app-key, app-secret, app-code.
local ffi = require "ffi"
require "resty.core"

ffi.cdef [[
typedef struct evp_md_st EVP_MD;
const EVP_MD *EVP_sha256(void);
unsigned char *HMAC(const EVP_MD *md, const void *key, int key_len, const unsigned char *data, size_t data_len,
                    unsigned char *out, unsigned int *out_len);
]]

local SHA256, SECONDS, SKEW_S, LIMIT = ffi.C.EVP_sha256(), 60, 900, 1000000000
local mac, mac_len = ffi.new("unsigned char[64]"), ffi.new("unsigned int[1]")
local counters, base64, concat = ngx.shared.counters, ngx.encode_base64, table.concat
local app = { secret = "{{app-secret}}", counter = "app {{app-key}}" }
local by_key, by_code = { ["{{app-key}}"] = app }, { ["APPCODE {{app-code}}"] = app }
-- How each name of X-Ca-Signature-Headers is asked for, kept from one request to the next.
local variables = {}

local function refuse(status, code)
  ngx.status = status
  ngx.header["X-Ca-Error-Code"] = code
  ngx.header["Content-Length"] = 0
  ngx.send_headers()
  return ngx.exit(ngx.HTTP_OK)
end

local function admit(of, limit)
  if counters:incr(of.counter, 1, 0, SECONDS) > limit then return refuse(429, "T429PA") end
end

local M = {}

function M.signature(limit)
  local var = ngx.var
  local of = by_key[var.http_x_ca_key or ""]
  if not of then return refuse(403, "A403AN") end
  local timestamp_s = (tonumber(var.http_x_ca_timestamp) or 0) / 1000
  if math.abs(ngx.time() - timestamp_s) > SKEW_S then return refuse(403, "A403TE") end
  local lines = {
    ngx.req.get_method(), var.http_accept or "", var.http_content_md5 or "", var.http_content_type or "", var.http_date or "",
  }
  local count = 5
  for name in (var.http_x_ca_signature_headers or ""):gmatch("[^,]+") do
    local variable = variables[name]
    if not variable then
      variable = "http_" .. name:lower():gsub("-", "_")
      variables[name] = variable
    end
    count = count + 1
    lines[count] = name .. ":" .. (var[variable] or "")
  end
  lines[count + 1] = var.request_uri
  local text = concat(lines, "\n")
  ffi.C.HMAC(SHA256, of.secret, #of.secret, text, #text, mac, mac_len)
  if base64(ffi.string(mac, mac_len[0])) ~= var.http_x_ca_signature then return refuse(403, "A403IS") end
  return admit(of, limit or LIMIT)
end

function M.app_code()
  local of = by_code[ngx.var.http_authorization or ""]
  if not of then return refuse(403, "A403AC") end
  return admit(of, LIMIT)
end

return M
