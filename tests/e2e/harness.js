/*
 * MessengerBotR as the bridge script sees it, for Rhino on a desk: the app's objects, the few classes of Android,
 * and a loop that does what is said on standard input, one JSON object a line. What happens is said on standard output.
 *
 * The act `install` begins a new app: with a script and options, {"listener": true, "names": [rooms that bot.send() reaches]}.
 *
 * usage: harness.js
 */
var harness = (function (global) {
    var scriptPath = null, options = {};
    var out = new java.io.PrintStream(java.lang.System.out, true, "UTF-8");
    var listeners = {};

    function say(event, values) {
        values.event = event;
        out.println(JSON.stringify(values));
    }

    function bytesOf(path) {
        var file = new java.io.File(path), bytes = java.nio.file.Files.readAllBytes(file.toPath());
        return {
            name: String(file.getName()), size: bytes.length,
            sha256: String(new java.math.BigInteger(1,
                java.security.MessageDigest.getInstance("SHA-256").digest(bytes)).toString(16))
        };
    }

    function Intent(action) {
        this.action = action;
        this.extras = {};
    }
    Intent.ACTION_SEND = "SEND";
    Intent.ACTION_SEND_MULTIPLE = "SEND_MULTIPLE";
    Intent.EXTRA_STREAM = "STREAM";
    Intent.FLAG_ACTIVITY_NEW_TASK = 1;
    Intent.FLAG_ACTIVITY_CLEAR_TOP = 2;
    Intent.FLAG_GRANT_READ_URI_PERMISSION = 4;
    Intent.prototype.setPackage = function (name) { this.to = String(name); };
    Intent.prototype.setType = function (type) { this.type = String(type); };
    Intent.prototype.addFlags = function () {};
    Intent.prototype.putExtra = function (name, value) { this.extras[name] = value; };
    Intent.prototype.putParcelableArrayListExtra = function (name, value) { this.extras[name] = value; };

    var context = {
        getFilesDir: function () { return new java.io.File(options.folder); },
        startActivity: function (intent) {
            var stream = intent.extras.STREAM, files = [], i;
            if (intent.home) {
                say("home", {});
                return;
            }
            if (options.shareFails) {
                throw new Error("no such activity");
            }
            if (intent.action === "SEND_MULTIPLE") {
                for (i = 0; i < stream.size(); i++) {
                    files.push(bytesOf(stream.get(i)));
                }
            } else {
                files.push(bytesOf(stream));
            }
            say("shared", {
                files: files, type: intent.type, to: intent.to, action: intent.action,
                channelId: String(intent.extras.key_id)
            });
        },
        getPackageManager: function () {
            return {
                getLaunchIntentForPackage: function () {
                    var intent = new Intent("MAIN");
                    intent.home = true;
                    return intent;
                }
            };
        }
    };

    function install() {
        global.android = {
            os: {Build: {BRAND: "brand", MODEL: "MODEL-1", VERSION: {RELEASE: "13", SDK_INT: 33}}},
            content: {Intent: Intent},
            net: {Uri: {fromFile: function (file) { return String(file.getPath()); }}}
        };
        global.androidx = {};
        global.App = {getContext: function () { return context; }};
        global.Device = {getAndroidId: function () { return options.device || "a1b2c3d4e5f60718"; }};
        global.Log = {
            i: function (text) { say("log", {level: "i", text: String(text)}); },
            e: function (text) { say("log", {level: "e", text: String(text)}); }
        };
        global.Api = {replyRoom: function (room, text) { return send(room, text); }};

        delete global.Event;
        delete global.BotManager;
        listeners = {};
        if (options.listener) {
            global.Event = {MESSAGE: "message", START_COMPILE: "startCompile"};
            global.BotManager = {
                getCurrentBot: function () {
                    return {
                        send: send,
                        addListener: function (event, listener) { (listeners[event] = listeners[event] || []).push(listener); }
                    };
                }
            };
        }
        load(scriptPath);
    }

    function send(room, text) {
        if ((options.names || []).indexOf(String(room)) < 0) {
            return false;
        }
        say("typed", {how: "send", room: String(room), channelId: null, text: String(text)});
        return true;
    }

    function reply(said) {
        return function (text) {
            if (options.replyThrows) {
                throw new Error("the notification is gone");
            }
            if (options.replyRefuses) {
                return false;
            }
            say("typed", {how: "reply", room: said.room, channelId: said.channelId, text: String(text)});
            return true;
        };
    }

    var acts = {
        install: function (said) {
            scriptPath = said.script;
            options = said.options;
            install();
            say("ready", {});
        },
        hear: function (said) {
            // The app hands over Java's strings and numbers.
            var channelId = said.channelId === null ? null : new java.lang.Long(said.channelId);
            var logId = said.logId === null ? null : new java.lang.Long(said.logId);
            if (said.path === "response") {
                response(new java.lang.String(said.room), new java.lang.String(said.text), said.sender, said.isGroupChat,
                    {reply: reply(said)}, null, "com.kakao.talk", said.isMention, logId, channelId, said.userHash);
                return;
            }
            (listeners.message || []).forEach(function (listener) {
                listener({
                    room: new java.lang.String(said.room), content: new java.lang.String(said.text),
                    author: {name: said.sender, hash: said.userHash}, channelId: channelId, logId: logId,
                    isGroupChat: said.isGroupChat, isMention: said.isMention, reply: reply(said)
                });
            });
        },
        compile: function () {
            (listeners.startCompile || []).forEach(function (listener) { listener(); });
            onStartCompile();
            say("compiled", {});
        },
        // What the app does after a compilation; `told` false: without having said so to the run before.
        reload: function (said) {
            if (said.told) {
                acts.compile();
            }
            listeners = {};
            load(scriptPath);
            say("reloaded", {});
        },
        options: function (said) {
            Object.keys(said.options).forEach(function (name) { options[name] = said.options[name]; });
        },
        evaluate: function (said) {
            var value;
            try {
                value = (0, eval)(said.code);
                say("value", {value: value === undefined ? null : value});
            } catch (e) {
                say("value", {error: String(e)});
            }
        },
        threads: function () {
            var names = [];
            java.lang.Thread.getAllStackTraces().keySet().toArray().forEach(function (one) {
                if (String(one.getName()).indexOf("relaytw-") === 0) {
                    names.push(String(one.getName()));
                }
            });
            say("value", {value: names.sort()});
        }
    };

    return {
        loop: function () {
            var lines = new java.io.BufferedReader(new java.io.InputStreamReader(java.lang.System["in"], "UTF-8")), line, said;
            while ((line = lines.readLine()) !== null) {
                said = JSON.parse(String(line));
                acts[said.act](said);
            }
            java.lang.System.exit(0);
        }
    };
}(this));

harness.loop();
