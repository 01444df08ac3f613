/*
 * relay-bridge.js: the phone's side of relaytw, for MessengerBotR.
 *
 * Sends every chat message that the app hears to a relay, and types what the relay answers. It speaks dialect 4.0
 * (docs/protocol-4.md), in which nothing is lost and nothing is typed twice, and 3.3 with relays that know no better.
 * `relayctl bridge-script --bot NAME` prints it with the settings filled in. How to install it, what each setting
 * means and what the lines in the log say: docs/bridge.md.
 *
 * For Rhino, so ES5: var, no arrow functions, no template strings.
 *
 *   the app ── hear() ── Chats ── sender thread ── relay        what was heard, until the relay has acknowledged it
 *   the app ◄─ Rooms ◄─ Replies ◄─ reader thread ◄─ relay       what is to be typed, strictly in order, each once
 */

// ==== 1. Settings ====================================================================================================
// One setting a line, so that relayctl can fill them in. Times are in milliseconds, sizes in bytes.

var RELAY_SETTINGS = {
    bot: "",
    secret: "",
    salt: "",
    servers: [],
    fallback: true,

    device: "",
    uuid: "",
    folder: "",
    mediaFolder: "/storage/emulated/0/msgbot/relaytw-media",
    provider: "com.xfl.msgbot.provider",
    messenger: "com.kakao.talk",
    app: "com.xfl.msgbot",

    textChars: 65000,
    chatCount: 2000,
    chatBytes: 4194304,
    chatAge: 3600000,
    oldDialectAge: 30000,
    typedIds: 2000,
    rooms: 500,
    pendingReplies: 1000,
    mediaBytes: 20971520,
    mediaSources: 30,
    mediaWait: 4000,
    mediaWaitMost: 60000,
    downloadTime: 60000,

    connectTime: 10000,
    challengeTime: 5000,
    handshakeTime: 15000,
    silence: 90000,
    retryFirst: 2000,
    retryMost: 60000,
    returnFirst: 300000,
    returnMost: 3600000,
    twinTime: 2000
};

var RelayBridge = (function (settings) {
    "use strict";

    var VERSION = "4.0.0";
    var CLIENT = "MessengerBotR";
    var MOST_LINE = 1048576;

    // ==== 2. The phone: all that is Android's or the app's ===========================================================

    var Android = typeof android !== "undefined" ? android : Packages.android;
    var AndroidX = typeof androidx !== "undefined" ? androidx : Packages.androidx;

    var phone = {
        log: function (level, text) {
            try {
                Log[level]("[relay] " + text);
            } catch (e) {
                // A log that fails is no reason to stop.
            }
        },

        context: function () {
            return typeof App !== "undefined" ? App.getContext() : Api.getContext();
        },

        // A clock that does not jump, and on a phone goes on while it sleeps.
        elapsed: function () {
            try {
                return Math.floor(Number(Android.os.SystemClock.elapsedRealtime()));
            } catch (e) {
                return Math.floor(java.lang.System.nanoTime() / 1000000);
            }
        },

        androidId: function () {
            try {
                return text(Device.getAndroidId());
            } catch (e) {
                try {
                    var resolver = phone.context().getContentResolver();
                    return text(Android.provider.Settings.Secure.getString(resolver, "android_id"));
                } catch (e2) {
                    return null;
                }
            }
        },

        info: function () {
            try {
                var build = Android.os.Build;
                return build.BRAND + " " + build.MODEL + " (Android " + build.VERSION.RELEASE + ", API " +
                    build.VERSION.SDK_INT + ")";
            } catch (e) {
                return "unknown device";
            }
        },

        // The app's own folder, which other apps cannot read.
        folder: function () {
            try {
                return String(phone.context().getFilesDir().getAbsolutePath()) + "/relaytw";
            } catch (e) {
                return "/storage/emulated/0/msgbot/relaytw";
            }
        },

        // Asked once, while the script is loaded: later the current one may be another.
        bot: function () {
            if (phone.current === undefined) {
                try {
                    phone.current = BotManager.getCurrentBot();
                } catch (e) {
                    phone.current = null;
                }
            }
            return phone.current;
        },

        // Writes to the chat of this name; false where the app knows none.
        send: function (name, words) {
            var bot = phone.bot();
            return bot !== null ? bot.send(name, words) : Api.replyRoom(name, words);
        },

        decode64: function (letters) {
            try {
                return java.util.Base64.getDecoder().decode(letters);
            } catch (e) {
                // Below Android 8 there is no java.util.Base64.
                return Android.util.Base64.decode(letters, 2);
            }
        },

        encode64: function (bytes) {
            try {
                return String(java.util.Base64.getEncoder().encodeToString(bytes));
            } catch (e) {
                return String(Android.util.Base64.encodeToString(bytes, 2));
            }
        },

        // Puts files into a chat, as if a person had shared them with the messenger.
        share: function (paths, type, channelId) {
            var Intent = Android.content.Intent, context = phone.context(), uris = new java.util.ArrayList(), i;
            for (i = 0; i < paths.length; i++) {
                uris.add(phone.uri(context, new java.io.File(paths[i])));
            }
            // Recordings and texts arrive only this way, even when they are alone.
            var several = paths.length > 1 || /^(audio|text)\//.test(type);
            var intent = new Intent(several ? Intent.ACTION_SEND_MULTIPLE : Intent.ACTION_SEND);
            intent.setPackage(settings.messenger);
            intent.setType(type);
            if (several) {
                intent.putParcelableArrayListExtra(Intent.EXTRA_STREAM, uris);
            } else {
                intent.putExtra(Intent.EXTRA_STREAM, uris.get(0));
            }
            intent.putExtra("key_id", new java.lang.Long(channelId));
            intent.putExtra("key_type", new java.lang.Integer(1));
            intent.putExtra("key_from_direct_share", true);
            intent.addFlags(Intent.FLAG_ACTIVITY_NEW_TASK | Intent.FLAG_ACTIVITY_CLEAR_TOP |
                Intent.FLAG_GRANT_READ_URI_PERMISSION);
            context.startActivity(intent);
        },

        uri: function (context, file) {
            try {
                return AndroidX.core.content.FileProvider.getUriForFile(context, settings.provider, file);
            } catch (e) {
                phone.allowPaths();
                return Android.net.Uri.fromFile(file);
            }
        },

        // Where the app's provider does not know our folder, Android has to be told that a path may be shared.
        allowPaths: function () {
            try {
                var policy = Android.os.StrictMode.VmPolicy;
                Android.os.StrictMode.setVmPolicy(new policy.Builder().build());
            } catch (e) {
                // Then the messenger will say that it cannot read the file.
            }
        },

        // Leaves the messenger: while a chat is open it makes no notifications, and the app hears nothing.
        leave: function () {
            try {
                var Intent = Android.content.Intent, context = phone.context();
                var intent = context.getPackageManager().getLaunchIntentForPackage(settings.app);
                intent.addFlags(Intent.FLAG_ACTIVITY_NEW_TASK | Intent.FLAG_ACTIVITY_CLEAR_TOP);
                context.startActivity(intent);
            } catch (e) {
                warn("could not come back from the messenger: " + e);
            }
        }
    };

    function info(words) { phone.log("i", words); }
    function warn(words) { phone.log("e", words); }

    // ==== 3. Small things ============================================================================================

    var lock = new java.util.concurrent.locks.ReentrantLock();
    var work = lock.newCondition();
    var stopped = new java.util.concurrent.atomic.AtomicBoolean(false);
    var random = new java.security.SecureRandom();

    function locked(act) {
        lock.lock();
        try {
            return act();
        } finally {
            lock.unlock();
        }
    }

    // Waits for a signal, with the lock held, or without one where nobody will signal.
    function await_(ms) {
        try {
            work.await(Math.max(1, Math.ceil(ms)), java.util.concurrent.TimeUnit.MILLISECONDS);
        } catch (e) {
            // Interrupted: whoever waits looks at `stopped` next.
        }
    }

    function pause(ms) {
        var until = phone.elapsed() + ms;
        locked(function () {
            var left;
            while (!stopped.get() && (left = until - phone.elapsed()) > 0) {
                await_(left);
            }
        });
    }

    // Text of whatever the app gives (it may be Java's), null where it gives nothing.
    function text(value) {
        return value === null || value === undefined || String(value) === "" ? null : String(value);
    }

    // Half a surrogate pair cannot be written as UTF-8.
    function whole(value) {
        return value.replace(/[\uD800-\uDBFF][\uDC00-\uDFFF]|[\uD800-\uDFFF]/g, function (found) {
            return found.length === 2 ? found : "\uFFFD";
        });
    }

    function cut(value, most) {
        if (value === null || value.length <= most) {
            return value;
        }
        var end = /[\uD800-\uDBFF]/.test(value.charAt(most - 1)) ? most - 1 : most;
        return value.substring(0, end);
    }

    function quote(value) { return JSON.stringify(value); }

    function parse(words) {
        try {
            var value = JSON.parse(words);
            return value !== null && typeof value === "object" ? value : null;
        } catch (e) {
            return null;
        }
    }

    function isText(value, most) { return typeof value === "string" && value.length <= most; }

    function isId(value) { return typeof value === "string" && /^~?[A-Za-z0-9._\/-]{1,80}$/.test(value); }

    function nameOf(server) { return server.host + ":" + server.port; }

    // ==== 4. Bytes and seals =========================================================================================
    // Lines are kept as strings with one character a byte (Latin-1): Java then searches and copies them, not Rhino.

    function utf8(words) { return new java.lang.String(words).getBytes("UTF-8"); }
    function raw(latin) { return new java.lang.String(latin).getBytes("ISO-8859-1"); }
    function latin1(bytes) { return String(new java.lang.String(bytes, "ISO-8859-1")); }
    function fromUtf8(latin) { return String(new java.lang.String(raw(latin), "UTF-8")); }
    function buffer(size) { return java.lang.reflect.Array.newInstance(java.lang.Byte.TYPE, size); }

    function joined() {
        var out = new java.io.ByteArrayOutputStream(), i;
        for (i = 0; i < arguments.length; i++) {
            out.write(arguments[i], 0, arguments[i].length);
        }
        return out.toByteArray();
    }

    function hex(bytes) {
        var digits = "", i;
        for (i = 0; i < bytes.length; i++) {
            digits += ("0" + (bytes[i] & 255).toString(16)).slice(-2);
        }
        return digits;
    }

    function unhex(digits) {
        var bytes = buffer(digits.length / 2), i, value;
        for (i = 0; i < bytes.length; i++) {
            value = parseInt(digits.substr(2 * i, 2), 16);
            bytes[i] = value > 127 ? value - 256 : value;
        }
        return bytes;
    }

    function randomHex(size) {
        var bytes = buffer(size);
        random.nextBytes(bytes);
        return hex(bytes);
    }

    function sha256(bytes) { return java.security.MessageDigest.getInstance("SHA-256").digest(bytes); }

    function hmac(key, bytes) {
        var mac = javax.crypto.Mac.getInstance("HmacSHA256");
        // Java refuses an empty key; to HMAC it is the same as a zero.
        mac.init(new javax.crypto.spec.SecretKeySpec(key.length ? key : buffer(1), "HmacSHA256"));
        return mac.doFinal(bytes);
    }

    // HKDF-SHA256 of RFC 5869.
    function hkdf(secret, salt, purpose, size) {
        var key = hmac(salt, secret), block = buffer(0), made = buffer(0), count = 0, number = buffer(1);
        while (made.length < size) {
            number[0] = ++count;
            block = hmac(key, joined(block, purpose, number));
            made = joined(made, block);
        }
        return java.util.Arrays.copyOf(made, size);
    }

    function keysOf(secret, phoneNonce, relayNonce, helloLine, challengeLine) {
        var transcript = sha256(raw(helloLine + "\n" + challengeLine));
        var salt = joined(unhex(phoneNonce), unhex(relayNonce));
        return {
            phone: hkdf(utf8(secret), salt, joined(utf8("relaytw 4 phone"), transcript), 32),
            relay: hkdf(utf8(secret), salt, joined(utf8("relaytw 4 relay"), transcript), 32)
        };
    }

    // A sealed line, one character a byte, without its end.
    function seal(key, seq, event, data) {
        var covered = latin1(utf8("\"seq\":" + seq + ",\"event\":" + quote(event) + ",\"data\":" + data + "}"));
        return "{\"v\":4,\"mac\":\"" + hex(hmac(key, raw(covered))) + "\"," + covered;
    }

    // The packet of a sealed line. Throws what is wrong with it.
    function unseal(key, seq, line) {
        if (!/^\{"v":4,"mac":"[0-9a-f]{64}","seq":/.test(line)) {
            throw new Error("a line is not sealed");
        }
        if (!java.security.MessageDigest.isEqual(hmac(key, raw(line.substring(80))), unhex(line.substr(14, 64)))) {
            throw new Error("a seal is broken; the secret is another one, or somebody changes what is sent");
        }
        var number = "\"seq\":" + seq + ",", packet = parse(fromUtf8(line));
        if (packet === null || line.substr(80, number.length) !== number) {
            throw new Error("a line is missing or was sent twice");
        }
        return packet;
    }

    // ==== 5. Files ===================================================================================================

    function folderOf() {
        // Two bots in one app must not share a folder, whatever their names.
        var own = settings.bot.replace(/[^A-Za-z0-9_-]/g, "_").substring(0, 30) + "-" +
            hex(sha256(utf8(settings.bot))).substring(0, 8);
        return new java.io.File((settings.folder || phone.folder()) + "/" + own);
    }

    function fileNamed(name) {
        var folder = folderOf();
        folder.mkdirs();
        return new java.io.File(folder, name);
    }

    function closeQuietly(thing) {
        try {
            if (thing) {
                thing.close();
            }
        } catch (e) {
            // It is of no use any more, whatever became of it.
        }
    }

    // What a file holds, one character a byte; null where there is none. Throws where it cannot be read.
    function readFile(file, most) {
        if (!file.exists()) {
            return null;
        }
        if (file.length() > most) {
            throw new Error(file + " is larger than it can have become");
        }
        var input = new java.io.FileInputStream(file), out = new java.io.ByteArrayOutputStream(), part = buffer(65536), n;
        try {
            while ((n = input.read(part)) > 0) {
                out.write(part, 0, n);
            }
        } finally {
            closeQuietly(input);
        }
        return latin1(out.toByteArray());
    }

    // Replaces a file as a whole, or not at all.
    function replaceFile(file, words) {
        var temporary = new java.io.File(file.getPath() + ".new"), out = new java.io.FileOutputStream(temporary);
        try {
            out.write(utf8(words));
            out.getFD().sync();
        } finally {
            closeQuietly(out);
        }
        if (!temporary.renameTo(file)) {
            throw new Error(file + " cannot be replaced");
        }
    }

    function checksum(bytes) {
        var crc = new java.util.zip.CRC32();
        crc.update(bytes, 0, bytes.length);
        return ("0000000" + crc.getValue().toString(16)).slice(-8);
    }

    // A file of records, each with its checksum, to which records are appended. Whatever part of it is torn or
    // damaged, the other records are still read.
    function Records(name, most) {
        this.file = fileNamed(name);
        this.most = most;
        this.count = 0;
        this.size = 0;
        this.least = 0;
        this.damaged = 0;
        this.out = null;
        this.torn = false;
    }

    Records.prototype.read = function () {
        var found = [], that = this, content;
        try {
            content = readFile(this.file, this.most);
        } catch (e) {
            warn("what was kept is lost: " + e);
            this.damaged++;
            return found;
        }
        if (content === null) {
            return found;
        }
        content.split("\n").forEach(function (line, index, lines) {
            var record = line.substring(9);
            if (index === lines.length - 1) {
                that.damaged += line === "" ? 0 : 1;
            } else if (line.substring(0, 9) === checksum(raw(record)) + " ") {
                found.push(fromUtf8(record));
            } else {
                that.damaged++;
            }
        });
        return found;
    };

    function recordLine(record) { return checksum(utf8(record)) + " " + record + "\n"; }

    // Throws where the disk does not take it.
    Records.prototype.append = function (record, sync) {
        var line;
        try {
            if (this.out === null) {
                this.out = new java.io.FileOutputStream(this.file, true);
            }
            line = utf8((this.torn ? "\n" : "") + recordLine(record));
            this.out.write(line);
            if (sync) {
                this.out.getFD().sync();
            }
            this.torn = false;
            this.count++;
            this.size += line.length;
        } catch (e) {
            // Half of it may be there: the next one begins on a line of its own.
            this.torn = true;
            this.close();
            throw e;
        }
    };

    Records.prototype.rewrite = function (records) {
        this.close();
        replaceFile(this.file, records.map(recordLine).join(""));
        this.count = records.length;
        this.size = this.least = Number(this.file.length());
        this.torn = false;
    };

    // Is most of it of the past?
    Records.prototype.isStale = function (living) {
        return this.count > 2 * living + 200 || this.size > 2 * this.least + 1048576;
    };

    Records.prototype.close = function () {
        closeQuietly(this.out);
        this.out = null;
    };

    // ==== 6. Chat that the relay has not acknowledged ================================================================
    // Everything here is called with the lock held.

    function Chats() {
        this.list = [];
        this.byId = {};
        this.bytes = 0;
        this.lost = 0;
        this.complained = false;
        // Never the same again, not even after a reinstallation.
        this.start = randomHex(8);
        this.made = 0;
        this.records = new Records("chats", 16 * settings.chatBytes + 4194304);
    }

    Chats.prototype.load = function () {
        var that = this, kept = {}, order = [];
        this.records.read().forEach(function (record) {
            var id = record.substring(1), chat;
            if (record.charAt(0) === "-") {
                delete kept["$" + id];
            } else if ((chat = parse(id)) !== null && isId(chat.id) && typeof chat.data === "string") {
                kept["$" + chat.id] = chat;
                order.push(chat.id);
            }
        });
        order.forEach(function (id) {
            if (kept["$" + id]) {
                that.restore(kept["$" + id]);
                delete kept["$" + id];
            }
        });
        this.trim();
        this.compact();
    };

    Chats.prototype.restore = function (kept) {
        // The clock that does not jump begins anew when the phone does; then the other one has to do. Too old is the
        // better mistake: the relay then asks before it answers.
        var age = Math.max(0, phone.elapsed() - Number(kept.heard), java.lang.System.currentTimeMillis() - Number(kept.at));
        this.push({
            id: kept.id, data: kept.data, heard: phone.elapsed() - (isFinite(age) ? age : 0), at: Number(kept.at) || 0,
            bytes: kept.data.length, resent: true, sent: 0
        });
    };

    Chats.prototype.push = function (chat) {
        this.list.push(chat);
        this.byId["$" + chat.id] = chat;
        this.bytes += chat.bytes;
    };

    // `data` is the chat's members as JSON, without its braces.
    Chats.prototype.add = function (data) {
        var chat = {
            id: this.start + "-" + (++this.made), data: data, heard: phone.elapsed(),
            at: java.lang.System.currentTimeMillis(), bytes: data.length, resent: false, sent: 0
        };
        this.push(chat);
        this.keep("+" + quote({id: chat.id, heard: chat.heard, at: chat.at, data: data}));
        this.trim();
        return chat;
    };

    Chats.prototype.keep = function (record) {
        try {
            this.records.append(record, false);
            this.complained = false;
            if (this.records.isStale(this.list.length)) {
                this.compact();
            }
        } catch (e) {
            // Not to forget it as long as the script runs is still better than not to send it.
            if (!this.complained) {
                warn("chat cannot be kept on the phone's storage: " + e);
            }
            this.complained = true;
        }
    };

    Chats.prototype.compact = function () {
        try {
            this.records.rewrite(this.list.map(function (chat) {
                return "+" + quote({id: chat.id, heard: chat.heard, at: chat.at, data: chat.data});
            }));
        } catch (e) {
            warn("chat cannot be kept on the phone's storage: " + e);
        }
    };

    Chats.prototype.age = function (chat) { return Math.max(0, phone.elapsed() - chat.heard); };

    // Keeps the bounds: the oldest goes first.
    Chats.prototype.trim = function (most) {
        var before = this.lost, oldest;
        while ((oldest = this.list[0]) && (this.list.length > settings.chatCount || this.bytes > settings.chatBytes ||
                this.age(oldest) > (most || settings.chatAge))) {
            this.lost++;
            this.settle(oldest.id);
        }
        if (this.lost > before) {
            warn((this.lost - before) + " messages were dropped: too old, or too many wait for a relay");
        }
    };

    Chats.prototype.settle = function (id) {
        var chat = this.byId["$" + id];
        if (chat) {
            delete this.byId["$" + id];
            this.list.splice(this.list.indexOf(chat), 1);
            this.bytes -= chat.bytes;
            this.keep("-" + id);
        }
    };

    // The oldest ones that were not sent over this connection.
    Chats.prototype.next = function (connection, most) {
        var found = [], i;
        for (i = 0; i < this.list.length && found.length < most; i++) {
            if (this.list[i].sent !== connection) {
                found.push(this.list[i]);
            }
        }
        return found;
    };

    // ==== 7. Replies that were taken up ==============================================================================
    // A reply is noted before it is typed; so it is typed at most once, whenever the script or the phone dies.
    // Everything here is called by the reader alone.

    function Typed() {
        this.ids = [];
        this.known = {};
        this.last = {};
        this.records = new Records("typed", 1200 * settings.typedIds + 4194304);
    }

    Typed.prototype.load = function () {
        var that = this;
        this.records.read().forEach(function (record) {
            var parts = parse(record);
            if (parts !== null && isId(parts[0]) && isText(parts[1], 300) && isText(parts[2], 40)) {
                that.remember(parts[0], parts[1], parts[2]);
                that.last["$" + parts[1]] = parts[0];
            }
        });
        this.compact();
    };

    Typed.prototype.remember = function (id, server, code) {
        if (!this.known["$" + id]) {
            this.ids.push(id);
        }
        this.known["$" + id] = {server: server, code: code};
        while (this.ids.length > settings.typedIds) {
            delete this.known["$" + this.ids.shift()];
        }
    };

    Typed.prototype.compact = function () {
        var that = this;
        this.records.rewrite(this.ids.map(function (id) {
            return quote([id, that.known["$" + id].server, that.known["$" + id].code]);
        }));
    };

    Typed.prototype.find = function (id) { return this.known["$" + id] || null; };

    // Throws where the disk does not take it: then the reply must not be typed.
    Typed.prototype.note = function (id, server, code) {
        this.records.append(quote([id, server, code]), true);
        this.remember(id, server, code);
        if (this.records.isStale(this.ids.length)) {
            this.compact();
        }
    };

    Typed.prototype.finished = function (id, server) { this.last["$" + server] = id; };

    // The last reply of this server that was finished. Another server's would make it forget what it still has to say.
    Typed.prototype.resume = function (server) { return this.last["$" + server] || null; };

    // ==== 8. Servers that have proven that they speak 4.0 ============================================================

    function Proven() {
        this.names = {};
        this.all = false;
        this.file = fileNamed("proven");
    }

    Proven.prototype.load = function () {
        var content, names;
        try {
            content = readFile(this.file, 65536);
            names = content === null ? {} : parse(fromUtf8(content));
        } catch (e) {
            names = null;
        }
        if (names === null) {
            // Who is not known to be old is not spoken to as if he were.
            warn(this.file + " is damaged: no relay is spoken to in dialect 3.3 until it is deleted");
            this.all = true;
        }
        this.names = names || {};
    };

    Proven.prototype.has = function (server) { return this.all || this.names[nameOf(server)] === true; };

    Proven.prototype.add = function (server) {
        if (this.names[nameOf(server)] === true) {
            return;
        }
        this.names[nameOf(server)] = true;
        try {
            replaceFile(this.file, quote(this.names));
        } catch (e) {
            warn("could not note that " + nameOf(server) + " speaks dialect 4.0: " + e);
        }
    };

    // ==== 9. Rooms: where a reply can be typed =======================================================================
    // Everything here is called with the lock held, but for type().

    function Rooms() {
        this.list = [];
        this.byKey = {};
        this.active = {};
        this.activeCount = 0;
        this.file = fileNamed("rooms");
    }

    Rooms.prototype.load = function () {
        var that = this, kept = null, content;
        try {
            content = readFile(this.file, 2000 * settings.rooms + 65536);
            kept = content === null ? [] : parse(fromUtf8(content));
        } catch (e) {
            kept = null;
        }
        if (!(kept instanceof Array)) {
            warn("the rooms that were known are lost; each is known again once somebody writes there");
            return;
        }
        kept.forEach(function (room) {
            if (room instanceof Array && isText(room[0], 100) && isText(room[1], 1000)) {
                that.put(room[0], room[1], null);
            }
        });
    };

    Rooms.prototype.put = function (channelId, name, reply) {
        var key = "$" + (channelId === null ? "?" + name : channelId), room = this.byKey[key];
        if (room) {
            this.list.splice(this.list.indexOf(room), 1);
        }
        this.byKey[key] = {key: key, channelId: channelId, name: name, reply: reply};
        this.list.push(this.byKey[key]);
        while (this.list.length > settings.rooms) {
            delete this.byKey[this.list.shift().key];
        }
        return !room || room.name !== name;
    };

    Rooms.prototype.heard = function (channelId, name, reply) {
        if (this.put(channelId, name, reply) && channelId !== null) {
            try {
                replaceFile(this.file, quote(this.list.filter(function (room) {
                    return room.channelId !== null;
                }).map(function (room) {
                    return [room.channelId, room.name];
                })));
            } catch (e) {
                warn("the rooms cannot be kept on the phone's storage: " + e);
            }
        }
    };

    Rooms.prototype.live = function () {
        return this.list.filter(function (room) { return room.reply !== null; }).length;
    };

    Rooms.prototype.named = function (name) {
        return this.list.filter(function (room) { return room.channelId !== null && room.name === name; });
    };

    // The chat that is meant, or the code that says why there is none.
    Rooms.prototype.find = function (channelId, name) {
        var named;
        if (channelId !== null) {
            return this.byKey["$" + channelId] || "no_room";
        }
        named = this.named(name);
        if (named.length > 1) {
            return "ambiguous_room";
        }
        return named[0] || this.byKey["$?" + name] || "no_room";
    };

    // Types into a chat; the code that says why it could not, or null. Throws what the app throws.
    Rooms.prototype.type = function (room, words) {
        var that = this;
        if (room.reply !== null && room.reply(words) !== false) {
            return null;
        }
        if (locked(function () { return that.named(room.name).length > 1; })) {
            return "ambiguous_room";
        }
        return phone.send(room.name, words) === false ? "no_room" : null;
    };

    // ==== 10. Media ==================================================================================================

    var TYPES = {
        jpg: "image/jpeg", jpeg: "image/jpeg", png: "image/png", gif: "image/gif", webp: "image/webp",
        mp4: "video/mp4", mov: "video/quicktime", webm: "video/webm",
        mp3: "audio/mpeg", m4a: "audio/mp4", wav: "audio/wav", ogg: "audio/ogg",
        pdf: "application/pdf", zip: "application/zip", txt: "text/plain"
    };
    var ANY_TYPE = {image: "image/*", audio: "audio/*", video: "video/*"};

    function mediaFile(format) {
        var folder = new java.io.File(settings.mediaFolder);
        folder.mkdirs();
        return new java.io.File(folder, "relay-" + randomHex(8) + "." + format);
    }

    function cleanFormat(format) {
        return typeof format === "string" && /^[A-Za-z0-9]{1,8}$/.test(format) ? format.toLowerCase() : "bin";
    }

    function removeAll(paths) {
        paths.forEach(function (path) { new java.io.File(path)["delete"](); });
    }

    // Files of earlier runs that nobody will show any more.
    function sweepMedia() {
        var files = new java.io.File(settings.mediaFolder).listFiles(), i;
        for (i = 0; files !== null && i < files.length; i++) {
            if (/^relay-[0-9a-f]{16}\./.test(String(files[i].getName()))) {
                files[i]["delete"]();
            }
        }
    }

    // Loads what an address names into a file. Throws why it cannot.
    function download(url, file) {
        if (!/^https?:\/\//i.test(url)) {
            throw new Error("not an address of the web");
        }
        var connection = new java.net.URL(url).openConnection(), input = null, out = null, part = buffer(65536);
        var until = phone.elapsed() + settings.downloadTime, size = 0, n;
        connection.setConnectTimeout(settings.connectTime);
        connection.setReadTimeout(settings.handshakeTime);
        try {
            if (connection.getResponseCode() !== 200) {
                throw new Error("the server answers " + connection.getResponseCode());
            }
            input = connection.getInputStream();
            out = new java.io.FileOutputStream(file);
            while ((n = input.read(part)) > 0) {
                size += n;
                if (size > settings.mediaBytes) {
                    throw new Error("it is larger than " + settings.mediaBytes + " bytes");
                }
                if (phone.elapsed() > until || stopped.get()) {
                    throw new Error("it takes too long");
                }
                out.write(part, 0, n);
            }
        } finally {
            closeQuietly(out);
            closeQuietly(input);
            connection.disconnect();
        }
        if (size === 0) {
            throw new Error("there is nothing in it");
        }
    }

    // A medium whose content comes in chunks. `bad` says what does not fit; what comes after that is ignored.
    function Medium(data) {
        this.sources = data.sources instanceof Array ? data.sources : [];
        this.format = cleanFormat(data.format);
        this.paths = [];
        this.at = 0;
        this.index = 0;
        this.size = 0;
        this.out = null;
        this.digest = null;
        this.bad = this.fault();
        if (this.bad === null) {
            this.skip();
        }
    }

    Medium.prototype.fault = function () {
        var total = 0, i, source;
        if (this.sources.length === 0 || this.sources.length > settings.mediaSources) {
            return "it has no sources, or too many";
        }
        for (i = 0; i < this.sources.length; i++) {
            source = this.sources[i];
            if (source === null || typeof source !== "object") {
                return "a source is nothing that is known";
            }
            if (typeof source.url === "string") {
                continue;
            }
            if (!(source.bytes > 0 && source.chunks > 0 && /^[0-9a-f]{64}$/.test(String(source.sha256)))) {
                return "a source is nothing that is known";
            }
            total += source.bytes;
        }
        return total > settings.mediaBytes ? "it is larger than " + settings.mediaBytes + " bytes" : null;
    };

    // Goes to the next source that comes in chunks.
    Medium.prototype.skip = function () {
        while (this.at < this.sources.length && typeof this.sources[this.at].url === "string") {
            this.paths[this.at] = null;
            this.at++;
        }
    };

    Medium.prototype.complete = function () { return this.bad !== null || this.at === this.sources.length; };

    Medium.prototype.spoil = function (why) {
        this.bad = why;
        closeQuietly(this.out);
        this.out = null;
    };

    Medium.prototype.chunk = function (data) {
        if (this.complete()) {
            return;
        }
        try {
            this.take(data);
        } catch (e) {
            this.spoil(String(e.message || e));
        }
    };

    Medium.prototype.take = function (data) {
        var source = this.sources[this.at], bytes;
        if (data.source !== this.at || data.index !== this.index || typeof data.data !== "string") {
            throw new Error("a chunk is missing");
        }
        bytes = phone.decode64(data.data);
        if (this.out === null) {
            this.paths[this.at] = String(mediaFile(this.format).getPath());
            this.out = new java.io.FileOutputStream(this.paths[this.at]);
            this.digest = java.security.MessageDigest.getInstance("SHA-256");
        }
        this.size += bytes.length;
        if (this.size > source.bytes) {
            throw new Error("it is longer than was said");
        }
        this.out.write(bytes, 0, bytes.length);
        this.digest.update(bytes, 0, bytes.length);
        this.index++;
        if (this.index === source.chunks) {
            this.finish(source);
        }
    };

    Medium.prototype.finish = function (source) {
        closeQuietly(this.out);
        this.out = null;
        if (this.size !== source.bytes || hex(this.digest.digest()) !== source.sha256) {
            throw new Error("its content is not what was said");
        }
        this.at++;
        this.index = 0;
        this.size = 0;
        this.skip();
    };

    Medium.prototype.close = function () {
        closeQuietly(this.out);
        removeAll(this.paths.filter(function (path) { return path; }));
    };

    function waitFor(paths, wanted) {
        var size = 0;
        if (typeof wanted === "number" && wanted >= 0) {
            return Math.min(wanted, settings.mediaWaitMost);
        }
        paths.forEach(function (path) { size += new java.io.File(path).length(); });
        return Math.min(settings.mediaWait + 2 * size / 1024, settings.mediaWaitMost);
    }

    // Shows what is complete in a chat; what went wrong as [code, words], or null.
    function show(medium, data, channelId) {
        var i, file, type;
        if (medium.bad !== null) {
            return ["bad_media", medium.bad];
        }
        if (channelId === null || !/^\d{1,19}$/.test(channelId)) {
            return ["no_room", "media need a chat with a number"];
        }
        try {
            for (i = 0; i < medium.sources.length; i++) {
                if (typeof medium.sources[i].url === "string") {
                    file = mediaFile(medium.format);
                    medium.paths[i] = String(file.getPath());
                    download(medium.sources[i].url, file);
                }
            }
            type = TYPES[medium.format] || ANY_TYPE[data.media] || "application/octet-stream";
            phone.share(medium.paths, medium.paths.length > 1 && data.media === "document" ? "*/*" : type, channelId);
        } catch (e) {
            return ["media_failed", String(e.message || e)];
        }
        pause(waitFor(medium.paths, data.wait_ms));
        phone.leave();
        return null;
    }

    // ==== 11. Replies: what the relay wants typed ====================================================================

    var chats, typed, proven, rooms;

    // One connection's replies, worked strictly in the order they came. Called by the reader alone.
    function Replies(connection) {
        this.connection = connection;
        this.waiting = [];
    }

    Replies.prototype.add = function (data, medium) {
        if (!isId(data.id) || !isText(data.room, 1000) || (medium === null && typeof data.text !== "string")) {
            throw new Error("a reply makes no sense");
        }
        if (this.waiting.length >= settings.pendingReplies) {
            throw new Error("too many replies wait behind a medium");
        }
        this.waiting.push({data: data, medium: medium});
        this.proceed();
    };

    Replies.prototype.chunk = function (data) {
        this.waiting.forEach(function (one) {
            if (one.medium !== null && one.data.id === data.id) {
                one.medium.chunk(data);
            }
        });
        this.proceed();
    };

    Replies.prototype.proceed = function () {
        while (this.waiting.length && !stopped.get() &&
                (this.waiting[0].medium === null || this.waiting[0].medium.complete())) {
            this.perform(this.waiting.shift());
        }
    };

    Replies.prototype.perform = function (one) {
        var id = one.data.id, server = nameOf(this.connection.server), known = typed.find(id), fault;
        if (known === null) {
            try {
                typed.note(id, server, "");
            } catch (e) {
                this.answer(id, "internal", "the phone's storage is full: " + e);
                return;
            }
            fault = attempt(one.data, one.medium);
            if (fault !== null) {
                this.noteFailure(id, server, fault[0]);
            }
            typed.finished(id, server);
        } else {
            fault = known.code ? [known.code, "as was said before"] : null;
        }
        if (one.medium !== null) {
            one.medium.close();
        }
        this.answer(id, fault && fault[0], fault && fault[1]);
    };

    Replies.prototype.noteFailure = function (id, server, code) {
        try {
            typed.note(id, server, code);
        } catch (e) {
            typed.remember(id, server, code);
        }
    };

    Replies.prototype.answer = function (id, code, words) {
        var connection = this.connection;
        if (code) {
            warn("reply " + id + " was not typed: " + code + " (" + words + ")");
        }
        locked(function () {
            connection.answers.push(code ? {id: id, code: code, message: cut(String(words), 500)} : {id: id, code: null});
            if (connection.answers.length > 2 * settings.pendingReplies) {
                // The reply comes again, and so does the answer.
                connection.answers.shift();
            }
            work.signalAll();
        });
    };

    Replies.prototype.close = function () {
        this.waiting.forEach(function (one) {
            if (one.medium !== null) {
                one.medium.close();
            }
        });
        this.waiting = [];
    };

    // Types a reply or shows it; what went wrong as [code, words], or null.
    function attempt(data, medium) {
        var channelId = text(data.channel_id), room, code;
        try {
            room = locked(function () { return rooms.find(channelId, data.room); });
            if (medium !== null && (medium.bad !== null || channelId !== null)) {
                return show(medium, data, channelId);
            }
            if (typeof room === "string") {
                return [room, "the chat " + (channelId || data.room)];
            }
            if (medium !== null) {
                return show(medium, data, room.channelId);
            }
            code = rooms.type(room, data.text);
            return code === null ? null : [code, "the chat " + (channelId || data.room)];
        } catch (e) {
            return ["internal", String(e)];
        }
    }

    // ==== 12. Connections ============================================================================================

    var connections = 0;

    function NotAnswered(words) { this.message = words; }

    // A socket that reads lines and, once the keys are there, seals them. Throws where it cannot connect.
    function Connection(server) {
        this.server = server;
        this.number = ++connections;
        this.dialect = null;
        this.keys = null;
        this.wrote = 0;
        this.read = 0;
        this.limit = MOST_LINE;
        this.answers = [];
        this.pongs = [];
        this.ready = false;
        this.closed = false;
        this.parts = [];
        this.held = 0;
        this.lines = [];
        this.part = buffer(65536);
        this.plain = this.socket = new java.net.Socket();
        instance.put("socket", this.plain);
        try {
            this.open();
        } catch (e) {
            this.close();
            throw e;
        }
    }

    Connection.prototype.open = function () {
        var server = this.server, plain = this.plain;
        plain.connect(new java.net.InetSocketAddress(server.host, server.port), settings.connectTime);
        plain.setTcpNoDelay(true);
        plain.setKeepAlive(true);
        if (server.tls) {
            this.socket = encrypted(plain, server);
        }
        this.input = this.socket.getInputStream();
        this.output = this.socket.getOutputStream();
    };

    function trustAll() {
        return new javax.net.ssl.X509TrustManager({
            checkClientTrusted: function () {},
            checkServerTrusted: function () {},
            getAcceptedIssuers: function () {
                return java.lang.reflect.Array.newInstance(java.security.cert.X509Certificate, 0);
            }
        });
    }

    // TLS over a socket. With a fingerprint exactly this certificate is trusted, and nothing is said before it was
    // seen; without one, whom the phone trusts.
    function encrypted(plain, server) {
        var pin = server.fingerprint ? String(server.fingerprint).replace(/[^0-9A-Fa-f]/g, "").toLowerCase() : null;
        var context = javax.net.ssl.SSLContext.getInstance("TLS"), managers = null, socket, parameters, seen;
        if (pin !== null) {
            managers = java.lang.reflect.Array.newInstance(javax.net.ssl.TrustManager, 1);
            managers[0] = trustAll();
        }
        context.init(null, managers, null);
        plain.setSoTimeout(settings.handshakeTime);
        socket = context.getSocketFactory().createSocket(plain, server.host, server.port, true);
        if (pin === null) {
            parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
        }
        socket.startHandshake();
        if (pin !== null) {
            seen = hex(sha256(socket.getSession().getPeerCertificates()[0].getEncoded()));
            if (seen !== pin) {
                throw new Error("its certificate is another one: " + seen);
            }
        }
        return socket;
    }

    Connection.prototype.close = function () {
        this.closed = true;
        // That of TLS would first say good-bye, and wait where nobody listens.
        closeQuietly(this.plain);
    };

    Connection.prototype.write = function (latin) {
        this.output.write(raw(latin));
        this.output.flush();
    };

    // The next line, one character a byte, without its end. Throws at the end of the connection, after `ms` of
    // silence, and at a line that is too long.
    Connection.prototype.readLine = function (ms) {
        var until = phone.elapsed() + ms, left, n, pieces;
        while (this.lines.length === 0) {
            left = until - phone.elapsed();
            if (left <= 0) {
                throw new Error("nothing was heard for " + ms + " ms");
            }
            this.socket.setSoTimeout(left);
            n = this.input.read(this.part);
            if (n < 0) {
                throw new Error("the relay has hung up");
            }
            pieces = latin1(java.util.Arrays.copyOf(this.part, n)).split("\n");
            this.parts.push(pieces[0]);
            this.held += pieces[0].length;
            if (this.held > MOST_LINE) {
                throw new Error("a line is too long");
            }
            if (pieces.length > 1) {
                this.lines = [this.parts.join("")].concat(pieces.slice(1, -1));
                this.parts = [pieces[pieces.length - 1]];
                this.held = this.parts[0].length;
            }
        }
        return this.lines.shift();
    };

    Connection.prototype.sealed = function (event, data) {
        return seal(this.keys.phone, ++this.wrote, event, data) + "\n";
    };

    Connection.prototype.readSealed = function (ms) {
        var line = this.readLine(ms), open;
        if (line.substring(0, 14) !== "{\"v\":4,\"mac\":\"") {
            open = parse(fromUtf8(line));
            if (open !== null && open.event === "error" && open.data) {
                // No proof of anything, but a hint for people.
                throw new Error("the relay says " + open.data.code + ": " + open.data.message);
            }
        }
        return unseal(this.keys.relay, ++this.read, line);
    };

    // ---- dialect 4.0

    Connection.prototype.greet = function () {
        var nonce = randomHex(16), server = this.server, hello, line, packet, data;
        hello = latin1(utf8("{\"v\":4,\"event\":\"hello\",\"data\":" + quote({
            versions: [4], client: CLIENT, bot: settings.bot, device: identity.device, uuid: identity.uuid,
            version: VERSION, nonce: nonce, resume: typed.resume(nameOf(server)), info: identity.info
        }) + "}"));
        this.write(hello + "\n");
        line = this.challenge();
        packet = parse(fromUtf8(line));
        this.keys = keysOf(settings.secret, nonce, packet.data.nonce, hello, line);
        this.write(this.sealed("proof", "{}"));
        packet = this.readSealed(settings.handshakeTime);
        if (packet.event !== "welcome" || !packet.data) {
            throw new Error("instead of a welcome there is " + packet.event);
        }
        proven.add(server);
        data = packet.data;
        if (data.success !== true) {
            throw new Error("the relay refuses this phone: " + data.message);
        }
        if (data.limits && data.limits.line_bytes > 0) {
            this.limit = Math.min(MOST_LINE, data.limits.line_bytes);
        }
        this.dialect = "4.0";
        this.greeted(data);
    };

    // The relay's challenge as it stands on the line. Throws NotAnswered where there may be an old relay.
    Connection.prototype.challenge = function () {
        var line, packet, data;
        try {
            line = this.readLine(settings.challengeTime);
        } catch (e) {
            throw new NotAnswered(String(e.message || e));
        }
        packet = parse(fromUtf8(line));
        data = packet && packet.data;
        if (packet === null || packet.v !== 4) {
            if (data && packet.event === "error" && /^(server_full|penalty)$/.test(data.code)) {
                // Said before it has read anything, so whatever it speaks.
                throw new Error("the relay says " + data.code + ": " + data.message);
            }
            throw new NotAnswered("it answers in an older dialect");
        }
        if (packet.event === "error" && data) {
            throw new Error("the relay says " + data.code + ": " + data.message);
        }
        if (packet.event !== "challenge" || !data || data.version !== 4 || !/^[0-9a-f]{32}$/.test(String(data.nonce))) {
            throw new Error("its challenge makes no sense");
        }
        return line;
    };

    Connection.prototype.greeted = function (data) {
        var encryption = this.server.tls ? ", TLS" : "";
        info("connected to " + nameOf(this.server) + " (dialect " + this.dialect + encryption + ")");
        if (data.approved !== true || data.message) {
            info((data.approved === true ? "" : "waiting for approval: ") + (data.message || ""));
        }
    };

    Connection.prototype.serve = function () {
        var replies = new Replies(this);
        try {
            while (!stopped.get()) {
                this.hear4(this.readSealed(settings.silence), replies);
            }
        } finally {
            replies.close();
        }
    };

    Connection.prototype.hear4 = function (packet, replies) {
        var data = packet.data;
        if (data === null || typeof data !== "object") {
            throw new Error("a packet without data");
        }
        switch (packet.event) {
        case "ack":
            this.acknowledged(data.ids);
            break;
        case "refused":
            warn("the relay refuses a message: " + data.code + " (" + data.message + ")");
            this.acknowledged([data.id]);
            break;
        case "reply":
            replies.add(data, null);
            break;
        case "media":
            replies.add(data, new Medium(data));
            break;
        case "chunk":
            replies.chunk(data);
            break;
        case "ping":
            this.pong({server_timestamp: data.server_timestamp, monitoring: monitoring()});
            break;
        case "error":
            warn("the relay says " + data.code + ": " + data.message);
            break;
        default:
            // Something newer than this script.
        }
    };

    Connection.prototype.acknowledged = function (ids) {
        if (ids instanceof Array) {
            locked(function () {
                ids.forEach(function (id) { chats.settle(String(id)); });
            });
        }
    };

    Connection.prototype.pong = function (data) {
        var that = this;
        locked(function () {
            that.pongs.push(data);
            // Whoever does not read his pongs needs no more of them.
            if (that.pongs.length > 10) {
                that.pongs.shift();
            }
            work.signalAll();
        });
    };

    function monitoring() {
        var runtime = java.lang.Runtime.getRuntime(), mega = 1048576, most = runtime.maxMemory() / mega;
        var used = (runtime.totalMemory() - runtime.freeMemory()) / mega;
        return locked(function () {
            return {
                total_memory: Math.round(most * 10) / 10, memory_usage: Math.round(used * 10) / 10,
                memory_percent: Math.round(used / most * 1000) / 10,
                message_queue_size: chats.list.length, active_rooms: rooms.live()
            };
        });
    }

    // What is due now, as lines to write. Called with the lock held.
    Connection.prototype.due = function () {
        return this.dialect === "4.0" ? this.due4() : this.due33();
    };

    Connection.prototype.due4 = function () {
        var that = this, out = "", ids = [];
        this.answers.forEach(function (answer) {
            if (answer.code === null) {
                ids.push(answer.id);
                return;
            }
            // Their order is that of the replies.
            out += that.ackOf(ids) + that.sealed("failed", quote(answer));
            ids = [];
        });
        out += this.ackOf(ids);
        this.answers = [];
        this.pongs.forEach(function (pong) { out += that.sealed("pong", quote(pong)); });
        this.pongs = [];
        chats.trim();
        chats.next(this.number, 50).forEach(function (chat) {
            var data = "{\"id\":" + quote(chat.id) + "," + chat.data + ",\"age\":" + chats.age(chat) + ",\"resent\":" +
                chat.resent + "}";
            if (utf8(data).length + 200 > that.limit) {
                warn("a message was dropped: it is longer than the relay reads");
                chats.settle(chat.id);
                return;
            }
            chat.sent = that.number;
            chat.resent = true;
            out += that.sealed("chat", data);
        });
        return {latin: out, done: []};
    };

    Connection.prototype.ackOf = function (ids) { return ids.length ? this.sealed("ack", quote({ids: ids})) : ""; };

    // ---- dialect 3.3

    Connection.prototype.greet33 = function () {
        var until = phone.elapsed() + settings.handshakeTime, line, packet, data;
        this.write(latin1(utf8(quote({event: "handshake", data: {
            clientType: CLIENT, botName: settings.bot, version: VERSION, deviceID: identity.device,
            deviceIP: this.address(), deviceInfo: identity.info
        }}) + "\n")));
        do {
            line = this.readLine(Math.max(1, until - phone.elapsed()));
            packet = header(line);
            data = packet && packet.data;
            if (data && packet.event === "error") {
                throw new Error("the relay says " + data.code + ": " + data.message);
            }
        } while (!data || packet.event !== "handshakeComplete");
        if (data.success !== true) {
            throw new Error("the relay refuses this phone: " + data.message);
        }
        this.dialect = "3.3";
        this.greeted(data);
    };

    Connection.prototype.address = function () {
        try {
            return String(this.socket.getLocalAddress().getHostAddress());
        } catch (e) {
            return "unknown";
        }
    };

    Connection.prototype.auth = function () {
        var auth = {
            clientType: CLIENT, botName: settings.bot, deviceUUID: identity.uuid, deviceID: identity.device,
            macAddress: "unknown", ipAddress: this.address(), timestamp: Number(java.lang.System.currentTimeMillis()),
            version: VERSION
        };
        auth.signature = hex(hmac(utf8(settings.secret), utf8([
            auth.clientType, auth.botName, auth.deviceUUID, auth.macAddress, auth.ipAddress, String(auth.timestamp),
            settings.salt
        ].join("|"))));
        return auth;
    };

    // The header of a line of 3.3: it ends at the last brace, and raw content stands behind it.
    function header(line) { return parse(fromUtf8(line.substring(0, line.lastIndexOf("}") + 1))); }

    Connection.prototype.serve33 = function () {
        var line, packet;
        while (!stopped.get()) {
            line = this.readLine(settings.silence);
            packet = header(line);
            if (packet !== null && packet.data) {
                this.hear33(packet.event, packet.data, line.substring(line.lastIndexOf("}") + 1).replace(/\s+$/, ""));
            }
        }
    };

    Connection.prototype.hear33 = function (event, data, content) {
        var fault, medium = null;
        if (event === "ping") {
            this.pong({bot_name: settings.bot, server_timestamp: data.server_timestamp, monitoring: monitoring()});
        } else if (event === "error") {
            warn("the relay says " + data.code + ": " + data.message);
        } else if (/^(messageResponse|scheduleMessage|broadcastMessage)$/.test(event) && isText(data.room, 1000)) {
            if (data.message_type === "text") {
                data.text = fromUtf8(latin1(phone.decode64(piecesOf(data, content).join(""))));
            } else {
                medium = new Medium33(data, piecesOf(data, content));
            }
            data.wait_ms = data.media_wait_time;
            data.media = data.message_type;
            fault = attempt(data, medium);
            if (medium !== null) {
                medium.close();
            }
            if (fault !== null) {
                warn("a reply was not typed: " + fault[0] + " (" + fault[1] + ")");
            }
        }
    };

    function piecesOf(data, content) {
        var ends = data.message_positions, pieces = [], i;
        if (!(ends instanceof Array)) {
            return pieces;
        }
        for (i = 1; i < ends.length; i++) {
            pieces.push(content.substring(ends[i - 1], ends[i]));
        }
        return pieces;
    }

    // A medium of dialect 3.3: each source is an address or Base64.
    function Medium33(data, pieces) {
        var that = this, size = 0;
        this.format = cleanFormat(data.message_format);
        this.paths = [];
        this.sources = [];
        this.bad = pieces.length && pieces.length <= settings.mediaSources ? null : "it has no sources, or too many";
        pieces.forEach(function (piece, index) {
            var file, out, bytes;
            if (/^https?:\/\//i.test(piece)) {
                that.sources[index] = {url: piece};
                return;
            }
            try {
                bytes = phone.decode64(piece);
                size += bytes.length;
                file = mediaFile(that.format);
                that.paths[index] = String(file.getPath());
                that.sources[index] = {};
                out = new java.io.FileOutputStream(file);
                out.write(bytes, 0, bytes.length);
            } catch (e) {
                that.bad = String(e);
            } finally {
                closeQuietly(out);
            }
        });
    }

    Medium33.prototype.close = Medium.prototype.close;

    Connection.prototype.due33 = function () {
        var that = this, out = "", done = [];
        this.pongs.forEach(function (pong) {
            pong.auth = that.auth();
            out += latin1(utf8(quote({event: "pong", data: pong}) + "\n"));
        });
        this.pongs = [];
        // Nothing in 3.3 says how old a message is; an old one would be answered as if it were new.
        chats.trim(settings.oldDialectAge);
        chats.next(this.number, 10).forEach(function (chat) {
            var data = parse("{" + chat.data + "}"), words = data.text;
            chat.sent = that.number;
            delete data.text;
            delete data.sent_at;
            data.bot_name = settings.bot;
            data.client_type = CLIENT;
            data.message_type = "text";
            data.content_encoding = "base64";
            words = phone.encode64(utf8(words));
            data.message_positions = [0, words.length];
            data.timestamp = String(new Date(chat.at).toISOString()).substring(0, 19) + "Z";
            data.timezone = "Asia/Seoul";
            data.auth = that.auth();
            out += latin1(utf8(quote({event: "message", data: data}))) + words + "\n";
            done.push(chat.id);
        });
        return {latin: out, done: done};
    };

    // ==== 13. The two threads ========================================================================================

    var current = null;
    var instance = new java.util.concurrent.ConcurrentHashMap();
    var identity = {};
    var returning = settings.returnFirst;
    var lookedFor = 0;
    var hurry = false;

    function dial(index) {
        var server = settings.servers[index], connection = new Connection(server);
        try {
            connection.greet();
        } catch (e) {
            connection.close();
            if (!(e instanceof NotAnswered)) {
                throw e;
            }
            if (!settings.fallback || proven.has(server)) {
                throw new Error("it does not answer in dialect 4.0, and 3.3 is not spoken to it (" + e.message + ")");
            }
            info(nameOf(server) + " does not answer in dialect 4.0 (" + e.message + "); trying 3.3");
            connection = new Connection(server);
            try {
                connection.greet33();
            } catch (e2) {
                connection.close();
                throw e2;
            }
        }
        return connection;
    }

    // Connects to the first server that will have us and talks to it until that ends; false where none will.
    function converse() {
        var i, connection = null;
        for (i = 0; i < settings.servers.length && connection === null && !stopped.get(); i++) {
            try {
                connection = dial(i);
                connection.index = i;
            } catch (e) {
                if (!stopped.get()) {
                    warn(nameOf(settings.servers[i]) + ": " + (e.message || e));
                }
            }
        }
        if (connection === null) {
            return false;
        }
        if (connection.index === 0) {
            returning = settings.returnFirst;
        }
        try {
            lookedFor = phone.elapsed();
            adopt(connection);
            if (connection.dialect === "4.0") {
                connection.serve();
            } else {
                connection.serve33();
            }
        } catch (e) {
            if (!stopped.get()) {
                warn("connection to " + nameOf(connection.server) + " lost: " + (e.message || e));
            }
        } finally {
            adopt(null);
            connection.close();
        }
        return true;
    }

    function adopt(connection) {
        locked(function () {
            current = connection;
            work.signalAll();
        });
    }

    function delayAfter(failures) {
        var most = Math.min(settings.retryMost, settings.retryFirst * Math.pow(2, Math.min(failures, 20)));
        return most * (0.5 + random.nextDouble() / 2);
    }

    function readerLoop() {
        var failures = 0, delay;
        while (!stopped.get()) {
            failures = converse() ? 0 : failures + 1;
            delay = hurry ? 0 : delayAfter(Math.max(0, failures - 1));
            hurry = false;
            if (!stopped.get() && delay > 0) {
                info("connecting again in " + Math.round(delay / 100) / 10 + " s");
                pause(delay);
            }
        }
    }

    // What is to be written, once there is anything; null where it is time to look for a better server.
    function nextBatch() {
        return locked(function () {
            var batch, left;
            while (!stopped.get()) {
                if (current !== null && !current.closed) {
                    batch = current.due();
                    if (batch.latin !== "") {
                        batch.connection = current;
                        return batch;
                    }
                }
                left = current !== null && current.index > 0 ? lookedFor + returning - phone.elapsed() : 3600000;
                if (left <= 0) {
                    return {connection: current, latin: null};
                }
                await_(left);
            }
            return null;
        });
    }

    function senderLoop() {
        var batch;
        while (!stopped.get() && (batch = nextBatch()) !== null) {
            if (batch.latin === null) {
                lookForBetter(batch.connection);
                continue;
            }
            try {
                batch.connection.write(batch.latin);
                settleAll(batch.done);
            } catch (e) {
                // The reader says that the connection is lost.
                batch.connection.close();
            }
        }
    }

    function settleAll(ids) {
        locked(function () {
            ids.forEach(function (id) { chats.settle(id); });
        });
    }

    // Is a server of higher priority there again? Then the connection is closed and begun from the top.
    function lookForBetter(connection) {
        var i, probe;
        for (i = 0; i < connection.index && !connection.closed; i++) {
            probe = new java.net.Socket();
            try {
                probe.connect(new java.net.InetSocketAddress(settings.servers[i].host, settings.servers[i].port), 3000);
                info("going back to " + nameOf(settings.servers[i]));
                hurry = true;
                connection.close();
            } catch (e) {
                // Not yet.
            } finally {
                closeQuietly(probe);
            }
        }
        // If it is there and will not have us, it is asked less and less often.
        returning = Math.min(settings.returnMost, returning * (connection.closed ? 2 : 1));
        lookedFor = phone.elapsed();
    }

    // ==== 14. Beginning and end ======================================================================================

    function thread(name, act) {
        var made = new java.lang.Thread(new java.lang.Runnable({run: act}), "relaytw-" + name);
        made.setDaemon(true);
        // Some errors pass by every `catch` of a script: no memory, or no stack for what somebody sent.
        made.setUncaughtExceptionHandler(new java.lang.Thread.UncaughtExceptionHandler({
            uncaughtException: function (dead, error) {
                revive(name, act, error);
            }
        }));
        instance.put(name, made);
        made.start();
    }

    function revive(name, act, error) {
        if (stopped.get()) {
            return;
        }
        warn("the " + name + " failed and begins anew: " + error);
        closeQuietly(instance.get("socket"));
        pause(settings.retryFirst);
        if (!stopped.get()) {
            thread(name, act);
        }
    }

    // Ends the threads and the socket of a run of this script, and waits for them.
    function end(run, ms) {
        run.get("stopped").set(true);
        // Android lets not every thread touch the network.
        new java.lang.Thread(new java.lang.Runnable({
            run: function () { closeQuietly(run.get("socket")); }
        })).start();
        ["reader", "sender"].forEach(function (name) {
            var one = run.get(name);
            if (one) {
                one.interrupt();
                if (ms > 0) {
                    try {
                        one.join(ms);
                    } catch (e) {
                        // Whoever interrupts us does not want to wait.
                    }
                }
            }
        });
    }

    function identify() {
        var file = fileNamed("device"), own = phone.androidId(), kept = null;
        if (own === null && !settings.device) {
            try {
                kept = readFile(file, 100);
                if (kept === null || !/^[0-9a-f]{16}$/.test(kept)) {
                    kept = randomHex(8);
                    replaceFile(file, kept);
                }
            } catch (e) {
                warn("this phone has no name that stays: " + e);
                kept = kept || randomHex(8);
            }
            own = kept;
        }
        identity.device = settings.device || own;
        identity.uuid = settings.uuid || own || settings.device;
        identity.info = phone.info();
    }

    function load() {
        chats = new Chats();
        typed = new Typed();
        proven = new Proven();
        rooms = new Rooms();
        chats.load();
        try {
            typed.load();
        } catch (e) {
            warn("the phone's storage cannot be written, so nothing will be typed: " + e);
        }
        proven.load();
        rooms.load();
        sweepMedia();
        identify();
    }

    function start() {
        var runs = java.lang.System.getProperties(), key = "relaytw.bridge." + settings.bot, before;
        instance.put("stopped", stopped);
        // A run that was not told of its end would write into the same files.
        before = runs.put(key, instance);
        if (before) {
            end(before, 5000);
        }
        load();
        if (!settings.bot || !settings.secret || !settings.servers.length) {
            warn("bot, secret or servers are missing in the settings: nothing is connected");
            return;
        }
        info("script " + VERSION + " for " + settings.bot + "@" + identity.device + " starts; " + chats.list.length +
            " messages wait from before");
        thread("reader", readerLoop);
        thread("sender", senderLoop);
    }

    function stop() {
        if (stopped.getAndSet(true)) {
            return;
        }
        info("the script ends");
        locked(function () { work.signalAll(); });
        end(instance, 3000);
    }

    // ==== 15. What the app says ======================================================================================

    // The last messages, to know one again that comes by both entry points.
    var heard = [];

    function isTwin(path, logId, key) {
        var now = phone.elapsed(), i, one;
        for (i = 0; i < heard.length; i++) {
            one = heard[i];
            if (logId !== null && one.logId === logId) {
                return true;
            }
            if (one.path !== path && !one.met && one.key === key && now - one.at <= settings.twinTime &&
                    (logId === null || one.logId === null)) {
                one.met = true;
                return true;
            }
        }
        heard.push({path: path, logId: logId, key: key, at: now, met: false});
        if (heard.length > 100) {
            heard.shift();
        }
        return false;
    }

    function clean(value, most) { return value === null ? null : whole(cut(value, most)); }

    function hear(path, message, reply) {
        var room = clean(text(message.room), 1000) || "", channelId = clean(text(message.channelId), 100);
        var sender = clean(text(message.sender), 1000) || "", words = clean(text(message.text), settings.textChars) || "";
        var logId = clean(text(message.logId), 100);
        var data = {
            room: room, channel_id: channelId, text: words, sender: sender,
            user_hash: clean(text(message.userHash), 200), log_id: logId,
            is_group_chat: message.isGroupChat === true || String(message.isGroupChat) === "true",
            is_mention: message.isMention === true || String(message.isMention) === "true",
            sent_at: Number(java.lang.System.currentTimeMillis())
        };
        locked(function () {
            rooms.heard(channelId, room, reply);
            if (!stopped.get() && !isTwin(path, logId, room + "\n" + sender + "\n" + words)) {
                chats.add(quote(data).slice(1, -1));
                work.signalAll();
            }
        });
    }

    function onMessage(message) {
        hear("listener", {
            room: message.room, channelId: message.channelId, text: message.content, sender: message.author.name,
            userHash: message.author.hash, logId: message.logId, isGroupChat: message.isGroupChat,
            isMention: message.isMention
        }, function (words) { return message.reply(words); });
    }

    function onResponse(room, words, sender, isGroupChat, replier, isMention, logId, channelId, userHash) {
        hear("response", {
            room: room, channelId: channelId, text: words, sender: sender, userHash: userHash, logId: logId,
            isGroupChat: isGroupChat, isMention: isMention
        }, function (said) { return replier.reply(said); });
    }

    function listen() {
        var bot = phone.bot();
        if (bot === null || typeof Event === "undefined") {
            return;
        }
        try {
            bot.addListener(Event.MESSAGE, onMessage);
            bot.addListener(Event.START_COMPILE, stop);
        } catch (e) {
            warn("the app has no listeners (" + e + "); response() is used");
        }
    }

    return {
        start: function () {
            start();
            listen();
        },
        stop: stop,
        onResponse: onResponse,
        // For the script's own tests.
        inside: {
            phone: phone, hmac: hmac, hkdf: hkdf, keysOf: keysOf, seal: seal, unseal: unseal, hex: hex, unhex: unhex,
            utf8: utf8, raw: raw, latin1: latin1, whole: whole, cut: cut, Records: Records, Chats: Chats, Typed: Typed,
            Proven: Proven, Rooms: Rooms, delayAfter: delayAfter, fileNamed: fileNamed, isTwin: isTwin,
            waiting: function () { return chats.list.map(function (chat) { return parse("{" + chat.data + "}").text; }); }
        }
    };
}(RELAY_SETTINGS));

// ==== 16. Entry points of the app ====================================================================================
// Newer projects get messages by the listener, older ones by response(). Some get them by both; then one counts.

function response(room, msg, sender, isGroupChat, replier, imageDB, packageName, isMention, logId, channelId, userHash) {
    RelayBridge.onResponse(room, msg, sender, isGroupChat, replier, isMention, logId, channelId, userHash);
}

function onStartCompile() {
    RelayBridge.stop();
}

RelayBridge.start();
