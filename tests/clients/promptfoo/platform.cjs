// Says which package has libsql's native part for this machine: of all that promptfoo leaves optional it needs this.
const { optionalDependencies, version } = require("./node_modules/libsql/package.json");
const wanted = `@libsql/${process.platform}-${process.arch}`;
console.log(`${Object.keys(optionalDependencies).filter((one) => one.startsWith(wanted)).sort()[0]}@${version}`);
