/*
 * Says what in scripts is newer than ES5: they are parsed as JavaScript 1.5, and their trees are searched.
 *
 * usage: es5.js SCRIPT...
 */
Array.prototype.forEach.call(arguments, function (path) {
    var js = Packages.org.mozilla.javascript, ast = js.ast, Token = js.Token;
    var source = readFile(path, "UTF-8"), environment = new js.CompilerEnvirons(), tree;
    var GLOBALS = /^(Map|Set|WeakMap|WeakSet|Promise|Symbol|Proxy|Reflect|BigInt|Uint8Array|globalThis)$/;
    var METHODS = new RegExp("^(startsWith|endsWith|includes|repeat|padStart|padEnd|find|findIndex|fill|from|assign|entries|" +
        "values|codePointAt|fromCodePoint|normalize|trimStart|trimEnd|flat|flatMap|matchAll|replaceAll|at)$");
    // Methods of ours and of Java that have such a name.
    var OWN = {find: /(^|\.)(rooms|typed|Rooms\.prototype|Typed\.prototype)$/};

    function fault(node, what) { print(path + " line " + node.getLineno() + ": " + what); }

    // 1.5 for the keywords; the newer syntax that is read all the same is looked for below.
    environment.setLanguageVersion(150);
    environment.setReservedKeywordAsIdentifier(true);
    environment.setRecoverFromErrors(false);
    try {
        tree = new js.Parser(environment).parse(source, path, 1);
    } catch (e) {
        print(path + " cannot be read: " + e);
        return;
    }

    function nameOf(node) { return node instanceof ast.Name ? String(node.getIdentifier()) : ""; }

    tree.visit(new ast.NodeVisitor({visit: function (node) {
        var type = node.getType(), name, owner;
        if (node instanceof ast.FunctionNode) {
            if (node.getFunctionType() === ast.FunctionNode.ARROW_FUNCTION) { fault(node, "an arrow function"); }
            if (node.isGenerator() || node.isES6Generator()) { fault(node, "a generator"); }
            if (node.isNormalMethod()) { fault(node, "a method"); }
        }
        if (node instanceof ast.VariableDeclaration && type !== Token.VAR) { fault(node, "let or const"); }
        if (node instanceof ast.VariableInitializer && node.isDestructuring()) { fault(node, "destructuring"); }
        if (node instanceof ast.TemplateLiteral) { fault(node, "a template string"); }
        if (node instanceof ast.ForInLoop && (node.isForOf() || node.isForEach())) { fault(node, "for of"); }
        if (node instanceof ast.ArrayComprehension || node instanceof ast.GeneratorExpression) { fault(node, "a comprehension"); }
        if (node instanceof ast.Yield) { fault(node, "yield"); }
        if (node instanceof ast.Name && GLOBALS.test(nameOf(node))) { fault(node, nameOf(node)); }
        if (node instanceof ast.FunctionCall && node.getTarget() instanceof ast.PropertyGet) {
            name = nameOf(node.getTarget().getProperty());
            owner = String(node.getTarget().getTarget().toSource());
            if (METHODS.test(name) && !(OWN[name] && OWN[name].test(owner))) { fault(node, owner + "." + name); }
        }
        return true;
    }}));
});
