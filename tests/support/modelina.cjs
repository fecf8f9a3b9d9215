// Makes TypeScript and Python of an AsyncAPI file: node modelina.cjs FILE FOLDER

const fs = require("node:fs");
const modelina = require("@asyncapi/modelina");

async function main(file, folder) {
  const text = fs.readFileSync(file, "utf8");
  const typescript = new modelina.TypeScriptFileGenerator({modelType: "interface", enumType: "union", mapType: "record", rawPropertyNames: true});
  const python = new modelina.PythonFileGenerator({presets: [modelina.PYTHON_PYDANTIC_PRESET]});
  await typescript.generateToFiles(text, `${folder}/typescript`, {exportType: "named"}, true);
  await python.generateToFiles(text, `${folder}/python`, {}, true);
}

main(...process.argv.slice(2));
