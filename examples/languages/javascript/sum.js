const fs = require('fs');
const _ = require('lodash');
const { twice } = require('./twice');
const numbers = fs.readFileSync('numbers.txt', 'utf8').trim().split('\n').map(Number);
fs.writeFileSync('result.txt', `${twice(_.sum(numbers))}\n`);
